"""Parts of a data set, and the names of their folders."""

import re
from typing import Literal, TypeAlias

Part: TypeAlias = Literal["train", "val", "test"]

PARTS: tuple[Part, ...] = ("train", "val", "test")

PART_NAMES: dict[Part, re.Pattern[str]] = {
    "train": re.compile(r"(seg_)?(train|training)(_?(set|data|images?|20\d\d))?"),
    "val": re.compile(
        r"(seg_)?(val|valid|validate|validation|dev|eval|evaluation)(_?(set|data|images?|20\d\d))?"
    ),
    "test": re.compile(r"(seg_)?(test|testing)(_?(set|data|images?|20\d\d))?_?\d?"),
}
"""Names of the folders of splits, in lower case and with `_` for blanks, hyphens and dots."""

PURPOSES: dict[Part, str] = {"train": "training", "val": "validation", "test": "the test"}


def part_of(name: str) -> Part | None:
    """Return the part that a folder's name stands for; None if it is the name of a class."""
    words = re.sub(r"[\s._-]+", "_", name.strip().lower())
    return next((part for part in PARTS if PART_NAMES[part].fullmatch(words)), None)
