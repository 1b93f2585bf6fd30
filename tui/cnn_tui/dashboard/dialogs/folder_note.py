"""A note on a folder of images, while its path is typed."""

import os
from itertools import islice
from typing import NamedTuple

from cnn_engine.config.paths import expand_home
from cnn_tui.text.safe import safe_text

MAX_NAMES = 4
"""Folders that are named."""

MAX_ENTRIES = 10_000
"""Entries of a directory that are read."""


class FolderNote(NamedTuple):
    """A note below the path."""

    text: str
    is_error: bool


def folder_note(path: str) -> FolderNote:
    """Return the folders within a folder, or the reason why it cannot be read."""
    expanded = expand_home(path)
    try:
        with os.scandir(expanded) as entries:
            names = [
                entry.name
                for entry in islice(entries, MAX_ENTRIES)
                if not entry.name.startswith(".") and entry.is_dir()
            ]
    except (OSError, ValueError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or "is no path"
        return FolderNote(f"{safe_text(expanded, 100)}: {reason}", is_error=True)
    if not names:
        return FolderNote("no folders in it: one per class is expected", is_error=True)
    shown = ", ".join(safe_text(name, 20) for name in sorted(names)[:MAX_NAMES])
    more = ", …" if len(names) > MAX_NAMES else ""
    count = "1 folder" if len(names) == 1 else f"{len(names):,} folders"
    return FolderNote(f"{count}: {shown}{more}", is_error=False)
