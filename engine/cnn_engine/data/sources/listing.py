"""Listing of the image files in class folders, and a digest to detect changes."""

import hashlib
import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from cnn_engine.data.cache import ID_BYTES
from cnn_engine.data.image_search import PassedOver, sort_key, walk_images
from cnn_engine.data.sources.first_rules import find_first_layout, walk_by_first_rules
from cnn_engine.data.sources.layout import ClassFolders, find_layout
from cnn_engine.errors import DataError
from cnn_engine.progress import Progress

PROGRESS_FILES = 1000
"""Number of files between two progress reports."""


class ImageFile(NamedTuple):
    """An image file and its class; a tuple, because there may be millions."""

    path: str
    label: int

    stamp: tuple[int, int, int]
    """Size in bytes, modification time and change time in ns."""


@dataclass(frozen=True, kw_only=True)
class Listing:
    """Classes and image files of a folder: training, then validation, then test images."""

    root: Path

    classes: tuple[str, ...]
    """Class names, sorted; in Unicode's form NFC."""

    files: list[ImageFile]
    train_count: int

    val_count: int
    """Number of validation images; 0 if no folder contains them."""

    warnings: tuple[str, ...]
    """Texts on folders or rows of a table that may not be what they are taken for."""

    layout_notices: tuple[str, ...]
    """Texts on what is used for what, and on images that are not used."""

    passed_over: PassedOver
    """Counts of other files that are not used."""

    @property
    def notices(self) -> tuple[str, ...]:
        """All texts on unusual folders and on what is not used."""
        return (*self.warnings, *self.layout_notices, *self.passed_over.texts())

    def relative_paths(self) -> list[str]:
        """Return the path of each file relative to the root."""
        return relative_to(self.root, [file.path for file in self.files])

    def files_digest(self, unreadable: Collection[int]) -> str:
        """Return the SHA-256 of paths and sizes of all files but those at some positions."""
        digest = hashlib.sha256()
        for position, path in enumerate(self.relative_paths()):
            if position not in unreadable:
                size, *_ = self.files[position].stamp
                digest.update(os.fsencode(f"{path}\0{size}\0"))
        return digest.hexdigest()

    def ids(self) -> list[bytes]:
        """Return an identity of each file, 16 bytes, that changes like `digest`; never zeros."""
        files = zip(self.relative_paths(), self.files, strict=True)
        return [
            hashlib.sha256(os.fsencode(f"{path}\0{file.stamp}")).digest()[:ID_BYTES]
            for path, file in files
        ]

    def digest(self) -> str:
        """Return a digest that changes if a file is added, removed, renamed or altered.

        The change time is set by the system, so that new content with an old modification time and
        new permissions are detected too.
        """
        files = zip(self.relative_paths(), self.files, strict=True)
        lines = "\0".join(f"{path}\0{file.stamp}" for path, file in files)
        return hashlib.sha256(os.fsencode(lines)).hexdigest()


def relative_to(root: Path, paths: Sequence[str]) -> list[str]:
    """Return paths below a folder relative to it, as there may be millions."""
    # Path(".") / "cat" is "cat".
    start = 0 if root == Path() else len(os.path.join(root, ""))  # noqa: PTH118
    return [path[start:] for path in paths]


def list_images(
    root: Path, progress: Progress, *, rules: Literal[1, 2] = 2, empty_classes: bool = False
) -> Listing:
    """List the images of each class; see `find_layout` for the folders that may contain them.

    Args:
        root: The folder.
        progress: Called with the number of files found.
        rules: `data.rules` of the config.
        empty_classes: Allow classes without images.

    Raises:
        DataError: there are no classes or no images, or a folder cannot be read.
    """
    layout = find_layout(root) if rules == 2 else find_first_layout(root)
    finder = _Finder(progress, rules, may_be_empty=empty_classes)
    classes = tuple(layout.train)
    try:
        finder.add(layout.train, classes)
        train_count = len(finder.files)
        finder.may_be_empty = True
        finder.add(layout.val, classes)
        val_count = len(finder.files) - train_count
        finder.add(layout.test, classes)
    except OSError as error:
        raise DataError(f"{error.filename}: cannot be read: {error.strerror}") from None
    return Listing(
        root=root,
        classes=classes,
        files=finder.files,
        train_count=train_count,
        val_count=val_count,
        warnings=layout.warnings,
        layout_notices=layout.notices,
        passed_over=finder.passed_over,
    )


class _Finder:
    """Finds the files of class folders."""

    def __init__(self, progress: Progress, rules: int, *, may_be_empty: bool) -> None:
        self.files: list[ImageFile] = []
        self.passed_over = PassedOver()
        self.may_be_empty = may_be_empty
        self._progress, self._rules = progress, rules

    def add(self, folders: ClassFolders, classes: tuple[str, ...]) -> None:
        """Add the images in the folders of a split, by class and then by path.

        Raises:
            DataError: a class has none, although it must have some.
        """
        for label, name in enumerate(classes):
            passed_over = PassedOver()
            found = [
                ImageFile(entry.path, label, stamp_of(entry))
                for folder in folders.get(name, ())
                for entry in self._entries(str(folder), passed_over)
            ]
            if not found and not self.may_be_empty:
                raise DataError(_no_images_text(folders[name][0], passed_over))
            self.files += sorted(found, key=lambda file: sort_key(file.path))
            self.passed_over.update(passed_over)

    def _entries(self, folder: str, passed_over: PassedOver) -> Iterator[os.DirEntry[str]]:
        if self._rules == 1:
            entries = walk_by_first_rules(folder)
        else:
            entries = walk_images(folder, passed_over)
        for count, entry in enumerate(entries, start=len(self.files) + 1):
            if count % PROGRESS_FILES == 0:
                self._progress("looking for images", count, 0)
            yield entry


def _no_images_text(folder: Path, passed_over: PassedOver) -> str:
    if reasons := "; ".join(passed_over.texts()):
        return f"{folder}: contains no images that can be used: {reasons}"
    return f"{folder}: contains no images; add some, or remove the folder"


def stamp_of(entry: os.DirEntry[str]) -> tuple[int, int, int]:
    """Return the stamp of an `ImageFile`."""
    try:
        status = entry.stat()
    except OSError:
        return (-1, 0, 0)  # decoding reports the reason
    return (status.st_size, status.st_mtime_ns, status.st_ctime_ns)
