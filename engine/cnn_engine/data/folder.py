"""A folder of one's own images, a folder per class, decoded into one array."""

import os
from collections.abc import Iterator
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import numpy as np

from cnn_engine.config import DataConfig
from cnn_engine.data.decode import Unreadable, decode, image_size
from cnn_engine.data.raw import Pixels, Progress, Raw
from cnn_engine.errors import ConfigError, DataError

EXTENSIONS = frozenset(
    ".jpg .jpeg .png .webp .bmp .gif .tif .tiff .ppm .pgm .pbm .jp2 .avif".split()
)

CHUNK = 200
"""Files handed to a thread at once: enough that handing over costs nothing."""

PROGRESS_SECONDS = 0.1
"""How often progress is told."""

LISTED = 10
"""Unreadable files that a message names."""


@dataclass(frozen=True)
class ImageFile:
    """A file and the class it belongs to."""

    path: Path
    label: int


def read(config: DataConfig, progress: Progress) -> Raw:
    """Decode `path/train/<class>/…` and `path/test/<class>/…`, or just `path/<class>/…`.

    Raises:
        DataError: there are no classes or no images, or some are unreadable and the config says
            to stop then.
        ConfigError: the images differ in size and the config names none.
    """
    root = Path(config.path or "")
    try:
        classes, files, train_count = _scan(root)
    except OSError as error:
        raise DataError(f"{error.filename}: cannot be read: {error.strerror}") from None
    size = config.image_size or _common_size(files)
    images, reasons = _decode_all(files, size, config.channels or 3, progress)
    if reasons and config.unreadable == "stop":
        raise _unreadable_error(files, reasons)
    good = [position for position in range(len(files)) if position not in reasons]
    return Raw(
        images=images[good] if reasons else images,
        labels=np.array([files[position].label for position in good], dtype=np.int64),
        classes=tuple(classes),
        train_count=sum(position < train_count for position in good),
        source=f"images in {root}",
        skipped=tuple(f"{files[position].path}: {reasons[position]}" for position in reasons),
    )


def _scan(root: Path) -> tuple[list[str], list[ImageFile], int]:
    """The classes, their files, and how many of these, which come first, are for training."""
    if not root.is_dir():
        raise DataError(f"{root}: is no folder; name the one that holds your class folders")
    has_train, has_test = (_holds_folders(root / part) for part in ("train", "test"))
    if has_test and not has_train:
        raise DataError(
            f"{root}: has test/ with class folders, but no such train/; put the other class "
            "folders there"
        )
    train_root = root / "train" if has_train else root
    classes = _class_names(train_root)
    if len(classes) < 2:
        raise DataError(f"{train_root}: has only 1 class; to learn a difference takes two")
    files = list(_files(train_root, classes))
    train_count = len(files)
    if has_test:
        _refuse_unknown_classes(root / "test", classes)
        files += _files(root / "test", classes, may_be_empty=True)
    return classes, files, train_count


def _holds_folders(folder: Path) -> bool:
    return folder.is_dir() and any(_class_folders(folder))


def _class_folders(root: Path) -> Iterator[Path]:
    for entry in root.iterdir():
        if entry.name.startswith(".") or not entry.is_dir():
            continue
        # A link back up would make one class of all images.
        if not (entry.is_symlink() and root.resolve().is_relative_to(entry.resolve())):
            yield entry


def _class_names(root: Path) -> list[str]:
    names = sorted(folder.name for folder in _class_folders(root))
    if not names:
        raise DataError(
            f"{root}: holds no class folders; put the images of each class in a folder of its own"
        )
    return names


def _refuse_unknown_classes(root: Path, classes: list[str]) -> None:
    if unknown := [name for name in _class_names(root) if name not in classes]:
        raise DataError(f"{root / unknown[0]}: is a class that the training images do not have")


def _files(root: Path, classes: list[str], *, may_be_empty: bool = False) -> Iterator[ImageFile]:
    """Every image file, class by class, in the order of names."""
    for label, name in enumerate(classes):
        paths = sorted(_image_paths(root / name))
        if not paths and not may_be_empty:
            raise DataError(f"{root / name}: holds no images; add some, or remove the folder")
        yield from (ImageFile(path, label) for path in paths)


def _image_paths(folder: Path) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        raise error  # os.walk passes over what it may not read, unless told otherwise

    # os.walk does not follow links to folders, so a loop of them is no danger.
    for directory, _, names in os.walk(folder, onerror=refuse):
        for name in names:
            if Path(name).suffix.lower() in EXTENSIONS and not name.startswith("."):
                yield Path(directory, name)


def _common_size(files: list[ImageFile]) -> int:
    """The side of the images where all are squares of one size."""
    sizes = set()
    for file in files:
        try:
            sizes.add(image_size(file.path))
        except Unreadable:
            continue  # will be told of when it is decoded
        if len(sizes) > 1 or sizes != {(side := next(iter(sizes))[0], side)}:
            raise ConfigError(
                f"data.image_size: say how large, in pixels, as the images differ ({file.path} is "
                "not the square that others are)"
            )
    return next(iter(sizes), (32, 32))[0]


def _decode_all(
    files: list[ImageFile], size: int, channels: int, progress: Progress
) -> tuple[Pixels, dict[int, str]]:
    """Images [N, size, size, channels], and for those that failed the reason by position."""
    images = np.zeros((len(files), size, size, channels), dtype=np.uint8)
    reasons: dict[int, str] = {}
    chunks = [range(first, min(first + CHUNK, len(files))) for first in range(0, len(files), CHUNK)]
    done = [0] * len(chunks)
    stopping = Event()

    def decode_chunk(number: int) -> None:
        for position in chunks[number]:
            if stopping.is_set():
                return
            try:
                images[position] = decode(files[position].path, size, channels)
            except Unreadable as error:
                reasons[position] = str(error)
            done[number] += 1

    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        futures = [pool.submit(decode_chunk, number) for number in range(len(chunks))]
        try:
            while wait(futures, PROGRESS_SECONDS, FIRST_EXCEPTION).not_done:
                _raise_first(futures)
                progress("decoding images", sum(done), len(files))
            _raise_first(futures)
        finally:
            stopping.set()
            pool.shutdown(cancel_futures=True)
    return images, dict(sorted(reasons.items()))


def _raise_first(futures: list[Future[None]]) -> None:
    """Raise what went wrong in one of the threads, if anything did."""
    for future in futures:
        if future.done():
            future.result()


def _unreadable_error(files: list[ImageFile], reasons: dict[int, str]) -> DataError:
    listed = [f"{files[position].path}: {reasons[position]}" for position in reasons]
    more = f"; and {len(listed) - LISTED} more" if len(listed) > LISTED else ""
    return DataError(
        f"{len(listed)} of {len(files)} image files cannot be read: {'; '.join(listed[:LISTED])}"
        f"{more}. Mend or remove them, or leave them out with --set data.unreadable=skip"
    )
