"""First rules for the images in a folder: `data.rules = 1`, which early runs have."""

import os
from collections.abc import Iterator
from pathlib import Path

from cnn_engine.data.image_files import suffix_of
from cnn_engine.data.sources.layout import ClassFolders, Layout, refuse_missing
from cnn_engine.errors import DataError

EXTENSIONS = frozenset(
    ".jpg .jpeg .png .webp .bmp .gif .tif .tiff .ppm .pgm .pbm .jp2 .avif".split()
)


def find_first_layout(root: Path) -> Layout:
    """Return the layout of `root/train/<class>/…` and `root/test/<class>/…`, or `root/<class>/…`.

    Raises:
        DataError: it is not a folder, or there are fewer than two classes.
    """
    refuse_missing(root)
    train, test = (_class_folders(root / split) for split in ("train", "test"))
    classes = train or _class_folders(root)
    if len(classes) < 2:
        raise DataError(f"{root}: contains fewer than two class folders")
    return Layout(train=classes, test=test if train else {})


def _class_folders(root: Path) -> ClassFolders:
    if not root.is_dir():
        return {}
    folders = [
        path
        for path in root.iterdir()
        if path.is_dir()
        and not path.name.startswith(".")
        and not (path.is_symlink() and root.resolve().is_relative_to(path.resolve()))
    ]
    return {path.name: (path,) for path in sorted(folders)}


def walk_by_first_rules(folder: str) -> Iterator[os.DirEntry[str]]:
    """Yield all files below a folder that have one of `EXTENSIONS` and are not hidden."""
    pending = [folder]
    while pending:
        with os.scandir(pending.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    pending.append(entry.path)
                elif (
                    suffix_of(entry.name) in EXTENSIONS
                    and not entry.name.startswith(".")
                    and not os.path.isdir(entry.path)  # noqa: PTH112 - a link to a folder
                ):
                    yield entry
