"""Advice on folders of images without class folders."""

import re
import shlex
from collections import Counter
from itertools import islice
from pathlib import Path

from cnn_engine.data.sources.box_labels import boxes_advice
from cnn_engine.data.sources.label_table import table_hint, table_of
from cnn_engine.data.sources.subfolders import images_in

MAX_EXAMINED = 5_000
"""Maximum number of file names that are examined."""

NUMBER = re.compile(r"[\s._(-]*\d+\)?$")
"""End of a file name without its suffix, such as `.0`, `_001` and ` (12)`."""

SCRIPT = (
    "for f in *[0-9]*.*; do "
    r"""d=$(printf %s "$f" | sed -E 's/[ ._(-]*[0-9]+\)?\.[^.]*$//'); """
    """mkdir -p -- "$d" && mv -n -- "$f" "$d/"; done"""
)
"""Shell command that moves images such as `cat.0.jpg` and `cat_001.jpg` into folders."""


def no_class_folders(folder: Path) -> str:
    """Return an error text on a folder with images but without class folders."""
    return f"{folder}: contains images, but no class folders; {sorting_advice(folder)}"


def sorting_advice(folder: Path) -> str:
    """Return how to sort the images of a folder into class folders, as a command if possible."""
    images = [entry.name for entry in islice(images_in(folder), MAX_EXAMINED)]
    advice = (
        boxes_advice(folder)
        or table_hint(folder, images)
        or _moving_hint(folder, [Path(name).stem for name in images])
    )
    if advice:
        return advice
    table = table_of(folder, images)
    place = f", as {table} says: it has no single column of their classes" if table else ""
    return f"put the images of each class into their own folder{place}"


def _moving_hint(folder: Path, stems: list[str]) -> str:
    """Return a command that moves images with their class in the name; empty without classes."""
    names = Counter(NUMBER.sub("", stem) for stem in stems)
    if len(names) < 2 or "" in names or 2 * len(names) > len(stems):
        return ""
    examples = ", ".join(sorted(names)[:3])
    return (
        f"its file names begin with classes ({examples}); to move them into folders: "
        f"cd {shlex.quote(str(folder))} && {SCRIPT}"
    )
