"""Check of an image folder before training, without PyTorch."""

import multiprocessing
import os
import signal
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from threading import Thread

import numpy as np
from numpy.typing import NDArray

from cnn_engine.config.schema import DataConfig
from cnn_engine.data.checks.image_info import MINIATURE, ImageInfo, inspect_image
from cnn_engine.data.checks.near_duplicates import are_blank, group_pairs, near_pairs
from cnn_engine.data.decode import share_memory
from cnn_engine.data.memory_budget import MemoryBudget
from cnn_engine.data.mirrored import pairs_by_content
from cnn_engine.data.sizes import choose_image_size, evenly
from cnn_engine.data.sources.find_files import list_files
from cnn_engine.data.sources.listing import ImageFile, Listing
from cnn_engine.data.sources.parts import Part
from cnn_engine.data.waiting import wait_for_all
from cnn_engine.errors import DataError
from cnn_engine.progress import Progress
from cnn_engine.system.threads import choose_threads

CHUNK = 50
"""Files per task of a worker process."""


@dataclass(frozen=True, kw_only=True)
class CheckedFolder:
    """Result of checking a folder of images."""

    listing: Listing
    """All image files, training images first."""

    infos: list[ImageInfo | str]
    """Info of each file, or the reason why it cannot be used; in the listing's order."""

    equal: list[list[int]]
    """Groups of files with equal content, as positions in the listing."""

    near: list[list[int]]
    """Groups of near duplicates; of files with equal content only the first is included."""

    blank: list[int]
    """Positions of images of a single colour."""

    mirrored: list[tuple[int, int]]
    """Pairs of classes whose mean images are mirror images."""

    side: int
    """Side in pixels that a run resizes the images to by default."""

    size_reason: str
    """Reason for that size; empty if the images have it already."""

    @cached_property
    def paths(self) -> list[str]:
        """Path of each file relative to the folder."""
        return self.listing.relative_paths()

    @property
    def given(self) -> tuple[Part, ...]:
        """Parts with their own folder: `train`, and maybe `val` and `test`."""
        val_count = self.listing.val_count
        test_count = len(self.infos) - self.listing.train_count - val_count
        counts: dict[Part, int] = {"val": val_count, "test": test_count}
        return ("train", *(part for part, count in counts.items() if count))

    def part(self, position: int) -> Part:
        """Return the part whose folder contains the file."""
        if position < self.listing.train_count:
            return "train"
        return "val" if position < self.listing.train_count + self.listing.val_count else "test"

    def readable(self) -> Iterator[tuple[int, ImageInfo]]:
        """Yield position and info of the usable files."""
        for position, info in enumerate(self.infos):
            if not isinstance(info, str):
                yield position, info

    def unreadable(self) -> dict[int, str]:
        """Return the reasons why files cannot be used, by position."""
        return {position: info for position, info in enumerate(self.infos) if isinstance(info, str)}

    def counts(self, part: Part) -> list[int]:
        """Return the number of usable images per class in the folder of a part."""
        labels = Counter(
            self.listing.files[position].label
            for position, _ in self.readable()
            if self.part(position) == part
        )
        return [labels[label] for label in range(len(self.listing.classes))]


def check_folder(config: DataConfig, progress: Progress) -> CheckedFolder:
    """Read and decode every image of a folder, in `choose_threads()` processes.

    Args:
        config: The folder, with class folders or a table of labels.
        progress: Called with the progress.

    Raises:
        ConfigError: the config names a column that the table does not have.
        DataError: there are no classes, or the folder or the table cannot be read.
    """
    listing = list_files(config, progress, empty_classes=True)
    infos = _inspect_all(listing.files, progress)
    readable = [position for position, info in enumerate(infos) if isinstance(info, ImageInfo)]
    sizes = [infos[readable[index]][:2] for index in evenly(len(readable))]
    side, size_reason = choose_image_size(sizes)  # type: ignore[arg-type]  # readable ones only
    equal = _equal(infos)
    copies = {position for group in equal for position in group[1:]}
    progress("comparing images", 0, 0)
    distinct = [position for position in readable if position not in copies]
    miniatures = _miniatures([infos[position] for position in distinct])
    near = group_pairs(near_pairs(miniatures))
    labels = np.array([listing.files[position].label for position in distinct])
    return CheckedFolder(
        listing=listing,
        infos=infos,
        equal=equal,
        near=[[distinct[index] for index in group] for group in near],
        blank=[distinct[index] for index in np.flatnonzero(are_blank(miniatures))],
        mirrored=pairs_by_content(miniatures, labels, len(listing.classes)),
        side=side,
        size_reason=size_reason,
    )


def _equal(infos: list[ImageInfo | str]) -> list[list[int]]:
    """Return groups of positions whose files have equal content."""
    by_digest: dict[bytes, list[int]] = {}
    for position, info in enumerate(infos):
        if isinstance(info, ImageInfo) and info.digest:
            by_digest.setdefault(info.digest, []).append(position)
    return [group for group in by_digest.values() if len(group) > 1]


def _miniatures(infos: list[ImageInfo | str]) -> NDArray[np.uint8]:
    """Return the miniatures of the readable images, uint8 [N, height, width]."""
    content = b"".join(info.miniature for info in infos if isinstance(info, ImageInfo))
    width, height = MINIATURE
    return np.frombuffer(content, np.uint8).reshape(-1, height, width)


def _inspect_all(files: list[ImageFile], progress: Progress) -> list[ImageInfo | str]:
    if not files:
        return []
    # Only files of the same size can have equal content.
    same_size = Counter(file.stamp[0] for file in files)
    tasks = [(file.path, same_size[file.stamp[0]] > 1) for file in files]

    def report(done: int) -> None:
        progress("checking images", min(done * CHUNK, len(files)), len(files))

    chunks = [tasks[first : first + CHUNK] for first in range(0, len(tasks), CHUNK)]
    processes = min(choose_threads(), len(chunks))
    # Spawned, because forking is unsafe in a process with threads.
    context = multiprocessing.get_context("spawn")
    memory = MemoryBudget(context)
    pool = ProcessPoolExecutor(processes, context, initializer=_begin, initargs=(memory,))
    try:
        with _interrupts_blocked():  # inherited by the worker processes
            futures = [pool.submit(_inspect_chunk, chunk) for chunk in chunks]
        wait_for_all(futures, report)
        return [info for future in futures for info in future.result()]
    except BrokenProcessPool:
        raise DataError(
            "a worker process died while reading images: out of memory, or a damaged file crashed "
            "its decoder"
        ) from None
    except BaseException:
        for process in multiprocessing.active_children():
            process.terminate()  # it would finish its tasks otherwise
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _inspect_chunk(tasks: list[tuple[str, bool]]) -> list[ImageInfo | str]:
    return [inspect_image(path, with_digest=with_digest) for path, with_digest in tasks]


def _begin(memory: MemoryBudget) -> None:
    """Share memory with the other processes; end when the parent ends, even if it is killed."""
    share_memory(memory)
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    Thread(target=watch, daemon=True).start()


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Block SIGINT in processes started in the block: the terminal sends it to all processes."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
