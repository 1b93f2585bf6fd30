"""Listing of the image files in class folders, and a digest to detect changes."""

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from cnn_engine.data.image_files import is_image_name
from cnn_engine.data.raw import Progress
from cnn_engine.errors import DataError

PROGRESS_FILES = 1000
"""Number of files between two progress reports."""


class ImageFile(NamedTuple):
    """An image file and its class; a tuple, because there may be millions."""

    path: str
    label: int

    stamp: tuple[int, int, int]
    """Size in bytes, modification time and change time in ns."""


@dataclass(frozen=True)
class Listing:
    """Classes and image files of a folder, training images first."""

    root: Path
    classes: tuple[str, ...]
    files: list[ImageFile]
    train_count: int

    def digest(self) -> str:
        """Return a digest that changes if a file is added, removed, renamed or altered.

        The change time is set by the system, so that new content with an old modification time and
        new permissions are detected too.
        """
        start = len(str(self.root)) + 1
        lines = "\0".join(f"{file.path[start:]}\0{file.stamp}" for file in self.files)
        return hashlib.sha256(os.fsencode(lines)).hexdigest()


def list_images(root: Path, progress: Progress, *, empty_classes: bool = False) -> Listing:
    """List `root/train/<class>/…` and `root/test/<class>/…`, or `root/<class>/…`.

    Args:
        root: The folder of class folders.
        progress: Called with the number of files found.
        empty_classes: Allow classes without images.

    Raises:
        DataError: there are no classes or no images, or a folder cannot be read.
    """
    if not root.is_dir():
        raise DataError(
            f"{root}: is not a folder; pass the folder that contains your class folders"
        )
    try:
        return _list(root, progress, empty_classes=empty_classes)
    except OSError as error:
        raise DataError(f"{error.filename}: cannot be read: {error.strerror}") from None


def _list(root: Path, progress: Progress, *, empty_classes: bool) -> Listing:
    has_train, has_test = (_holds_folders(root / part) for part in ("train", "test"))
    if has_test and not has_train:
        raise DataError(
            f"{root}: has test/ with class folders, but no such train/; put the other class "
            "folders there"
        )
    train_root = root / "train" if has_train else root
    classes = _class_names(train_root)
    if len(classes) < 2:
        raise DataError(f"{train_root}: has only 1 class; at least two are needed")
    files: list[ImageFile] = []
    _add_files(files, train_root, classes, progress, may_be_empty=empty_classes)
    train_count = len(files)
    if has_test:
        _refuse_unknown_classes(root / "test", classes)
        _add_files(files, root / "test", classes, progress, may_be_empty=True)
    return Listing(root, tuple(classes), files, train_count)


def _holds_folders(folder: Path) -> bool:
    return folder.is_dir() and any(_class_folders(folder))


def _class_folders(root: Path) -> Iterator[Path]:
    for entry in root.iterdir():
        if entry.name.startswith(".") or not entry.is_dir():
            continue
        # A link to a parent folder would be a class with all images.
        if not (entry.is_symlink() and root.resolve().is_relative_to(entry.resolve())):
            yield entry


def _class_names(root: Path) -> list[str]:
    names = sorted(folder.name for folder in _class_folders(root))
    if not names:
        raise DataError(
            f"{root}: contains no class folders; put the images of each class into their own folder"
        )
    return names


def _refuse_unknown_classes(root: Path, classes: list[str]) -> None:
    if unknown := [name for name in _class_names(root) if name not in classes]:
        raise DataError(f"{root / unknown[0]}: is not a class of the training images")


def _add_files(
    files: list[ImageFile],
    root: Path,
    classes: list[str],
    progress: Progress,
    *,
    may_be_empty: bool,
) -> None:
    """Add every image file, by class and then by name."""
    for label, name in enumerate(classes):
        found = []
        for file in _image_files(root / name, label):
            found.append(file)
            if (len(files) + len(found)) % PROGRESS_FILES == 0:
                progress("looking for images", len(files) + len(found), 0)
        if not found and not may_be_empty:
            raise DataError(f"{root / name}: contains no images; add some, or remove the folder")
        files += sorted(found, key=_sort_key)


def _sort_key(file: ImageFile) -> str:
    """Return a sort key by parts of the path: NUL sorts before all characters of names."""
    return file.path.replace(os.sep, "\0")


def _image_files(folder: Path, label: int) -> Iterator[ImageFile]:
    # Links to folders are not followed, so loops are harmless.
    pending = [str(folder)]
    while pending:
        with os.scandir(pending.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    pending.append(entry.path)
                elif is_image_name(entry.name) and (stamp := _stamp(entry)):
                    yield ImageFile(entry.path, label, stamp)


def _stamp(entry: os.DirEntry[str]) -> tuple[int, int, int] | None:
    """Return the stamp of a file; None for a link to a folder."""
    try:
        status = entry.stat()
    except OSError:
        return (-1, 0, 0)  # decoding reports the reason
    if stat.S_ISDIR(status.st_mode):
        return None
    return (status.st_size, status.st_mtime_ns, status.st_ctime_ns)
