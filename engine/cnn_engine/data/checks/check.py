"""Looking over a folder of images before training, with no need of PyTorch."""

import multiprocessing
import os
import signal
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

import numpy as np
from numpy.typing import NDArray

from cnn_engine.data.checks.image_info import MINIATURE, ImageInfo, inspect_image
from cnn_engine.data.checks.near_duplicates import are_blank, group_pairs, near_pairs
from cnn_engine.data.raw import Progress
from cnn_engine.data.sizes import choose_image_size, evenly
from cnn_engine.data.sources.listing import ImageFile, Listing, list_images
from cnn_engine.data.waiting import wait_for_all
from cnn_engine.errors import DataError
from cnn_engine.system.threads import choose_threads

CHUNK = 50
"""Files handed to a process at once."""


@dataclass(frozen=True, kw_only=True)
class CheckedFolder:
    """A folder of images, looked over."""

    listing: Listing

    looks: list[ImageInfo | str]
    """What each file is, or why it cannot be used; in the listing's order."""

    equal: list[list[int]]
    """Groups of files of the same content, by position."""

    near: list[list[int]]
    """Groups of files that show nearly the same; of those of the same content one alone."""

    blank: list[int]
    """Images of a single shade."""

    side: int
    """Side in pixels that a run brings the images to unless it is told another one."""

    why: str
    """Why that; empty where they have it anyway."""

    def path(self, position: int) -> str:
        """A file's path below the folder."""
        return self.listing.files[position].path[len(str(self.listing.root)) + 1 :]

    @property
    def has_test(self) -> bool:
        """Whether there is a folder of test images."""
        return self.listing.train_count < len(self.looks)

    def is_test(self, position: int) -> bool:
        """Whether the file is one of them."""
        return position >= self.listing.train_count

    def readable(self) -> Iterator[tuple[int, ImageInfo]]:
        """Positions of the files that can be used, and what they are."""
        for position, found in enumerate(self.looks):
            if not isinstance(found, str):
                yield position, found

    def unreadable(self) -> dict[int, str]:
        """Positions of the others, and why they cannot."""
        return {where: found for where, found in enumerate(self.looks) if isinstance(found, str)}

    def counts(self, *, test: bool) -> list[int]:
        """Usable images of each class, to train on or to test with."""
        labels = Counter(
            self.listing.files[position].label
            for position, _ in self.readable()
            if self.is_test(position) == test
        )
        return [labels[label] for label in range(len(self.listing.classes))]


def check_folder(root: Path, progress: Progress) -> CheckedFolder:
    """Read and decode every image of the folder, in as many processes as `choose_threads` says.

    Args:
        root: The folder of class folders.
        progress: Told how far it is.

    Raises:
        DataError: it is no such folder, or cannot be read.
    """
    listing = list_images(root, progress, empty_classes=True)
    looks = _look_at_all(listing.files, progress)
    positions = [where for where, found in enumerate(looks) if isinstance(found, ImageInfo)]
    sizes = [looks[positions[place]][:2] for place in evenly(len(positions))]
    side, why = choose_image_size(sizes)  # type: ignore[arg-type]  # none of these is a reason
    equal = _equal(looks)
    again = {position for group in equal for position in group[1:]}
    progress("comparing images", 0, 0)
    single = [position for position in positions if position not in again]
    miniatures = _miniatures([looks[position] for position in single])
    near = group_pairs(near_pairs(miniatures))
    return CheckedFolder(
        listing=listing,
        looks=looks,
        equal=equal,
        near=[[single[place] for place in group] for group in near],
        blank=[single[place] for place in np.flatnonzero(are_blank(miniatures))],
        side=side,
        why=why,
    )


def _equal(looks: list[ImageInfo | str]) -> list[list[int]]:
    """Groups of positions whose files have the same content."""
    by_digest: dict[bytes, list[int]] = {}
    for position, found in enumerate(looks):
        if isinstance(found, ImageInfo) and found.digest:
            by_digest.setdefault(found.digest, []).append(position)
    return [group for group in by_digest.values() if len(group) > 1]


def _miniatures(looks: list[ImageInfo | str]) -> NDArray[np.uint8]:
    content = b"".join(found.miniature for found in looks if isinstance(found, ImageInfo))
    width, height = MINIATURE
    return np.frombuffer(content, np.uint8).reshape(-1, height, width)


def _look_at_all(files: list[ImageFile], progress: Progress) -> list[ImageInfo | str]:
    if not files:
        return []
    alike = Counter(file.stamp[0] for file in files)
    tasks = [(file.path, alike[file.stamp[0]] > 1) for file in files]

    def tell(done: int) -> None:
        progress("looking at images", min(done * CHUNK, len(files)), len(files))

    chunks = [tasks[first : first + CHUNK] for first in range(0, len(tasks), CHUNK)]
    processes = min(choose_threads(), len(chunks))
    # Spawned, not forked: that is safe whatever threads there are.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(processes, context, initializer=_end_with_parent)
    try:
        with _interrupts_held_back():  # a process keeps what was so when it started
            futures = [pool.submit(_look_at, chunk) for chunk in chunks]
        wait_for_all(futures, tell)
        return [found for future in futures for found in future.result()]
    except BrokenProcessPool:
        raise DataError(
            "a process that looked at images ended: memory may be short, or a damaged file has "
            "broken its decoder"
        ) from None
    except BaseException:
        for process in multiprocessing.active_children():
            process.terminate()  # else it would finish what it has begun
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _look_at(tasks: list[tuple[str, bool]]) -> list[ImageInfo | str]:
    return [inspect_image(path, with_digest=with_digest) for path, with_digest in tasks]


def _end_with_parent() -> None:
    """See that this process ends with its parent, even one that is killed."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    Thread(target=watch, daemon=True).start()


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Processes started in here leave ctrl-c, which all of a terminal get, to this one."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
