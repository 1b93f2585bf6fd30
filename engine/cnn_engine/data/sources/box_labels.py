"""Files with bounding boxes of images, which are labels of another task than classification."""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

from cnn_engine.data.image_files import suffix_of
from cnn_engine.storage.regular_files import open_regular

LABEL_FOLDER = re.compile(r"(labels?|annotations?|bbox(es)?|xmls?)(_.*)?", re.IGNORECASE)
"""Names of folders of labels, in the layouts of YOLO, Pascal VOC and COCO."""

CONTENTS = {
    ".csv": re.compile(rb"\A[^\n]*(\bx_?min|\bbbox|\bbounding_?box|\bx1\b.*\by1\b)", re.IGNORECASE),
    ".json": re.compile(rb'"(bbox|bounding_?box(es)?)"', re.IGNORECASE),
    ".xml": re.compile(rb"<bndbox\b|<box\b.*\bxtl=", re.IGNORECASE),
    ".txt": re.compile(rb"\A\s*\d+((\s+[01]?\.\d+|\s+[01]\b){4,})\s*(\r?\n|\Z)"),
}
"""Content of files with boxes, by suffix; in a `.txt` a class and its coordinates, 0 to 1."""

MAX_ENTRIES = 5_000
"""Maximum number of names per folder that are examined."""

MAX_FILES = 20
"""Maximum number of files per folder and suffix that are read: some images have no boxes."""

MAX_BYTES = 1 << 20
"""Bytes read from the start and from the end of a file: COCO lists the images before the boxes."""


def boxes_advice(folder: Path) -> str:
    """Return what to do with images whose labels are bounding boxes; empty if no file has any.

    Args:
        folder: Folder of the images. It is searched, and folders of labels near it.
    """
    path = next((path for path in _label_files(folder) if _has_boxes(path)), None)
    if path is None:
        return ""
    return (
        f"bounding boxes are not supported ({path}); put the images, or the objects cut out of "
        "them, into one folder per class"
    )


def _label_files(folder: Path) -> Iterator[Path]:
    """Yield files that may be labels, the nearest first."""
    yield from _by_suffix(folder)
    for parent in folder.absolute().parents[:2]:
        for found in _entries(parent):
            if LABEL_FOLDER.fullmatch(found.name):
                yield from _by_suffix(found)
                for inner in _entries(found):
                    yield from _by_suffix(inner)
        yield from (path for path in _by_suffix(parent) if path.suffix.lower() == ".csv")


def _by_suffix(folder: Path) -> Iterator[Path]:
    """Yield the first files in a folder that have a suffix of labels."""
    left = dict.fromkeys(CONTENTS, MAX_FILES)
    for path in _entries(folder):
        if left.get(suffix := suffix_of(path.name)):
            left[suffix] -= 1
            yield path


def _entries(folder: Path) -> list[Path]:
    """Return the files and folders in a folder; none if it cannot be read or is a file."""
    with suppress(OSError), os.scandir(folder) as entries:
        return sorted(folder / entry.name for entry in islice(entries, MAX_ENTRIES))
    return []


def _has_boxes(path: Path) -> bool:
    try:
        with open_regular(path) as file:
            content = file.read(MAX_BYTES)
            file.seek(max(len(content), os.fstat(file.fileno()).st_size - MAX_BYTES))
            content += file.read(MAX_BYTES)
            return CONTENTS[suffix_of(path.name)].search(content) is not None
    except OSError:
        return False
