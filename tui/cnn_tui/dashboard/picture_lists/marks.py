"""Marks of images: which folder they are in, and their texts."""

import os
from collections import Counter
from pathlib import Path

from textual.content import Content

from cnn_engine.data.marks import FILE_SOURCES, Mark, Marked, Marks
from cnn_engine.errors import ConfigError, DataError
from cnn_engine.runlog.state import RunState
from cnn_tui.dashboard.picture_lists.tile import MAX_NAME
from cnn_tui.text.other_loops import missing_text
from cnn_tui.text.safe import safe_text

GLYPHS: dict[Mark, tuple[str, str]] = {
    "relabel": ("▸", "$text-warning"),
    "drop": ("✗", "$text-error"),
    "keep": ("✓", "$text-success"),
}
"""Glyph and style of each mark."""


def folder_to_mark(state: RunState) -> Path:
    """Return the folder of a run's images, beside which their marks are.

    Raises:
        ConfigError: the images are not single files.
        DataError: the folder is not on this machine.
    """
    if reason := missing_text(state, "files to mark"):
        raise ConfigError(f"{reason[:1].upper()}{reason[1:]}")
    source, path = state.setting("data.source"), state.setting("data.path")
    if source not in FILE_SOURCES or not path:
        raise ConfigError(
            f"The images of {safe_text(str(source), 40)} are not files; only those of a folder "
            "or a CSV file can be marked"
        )
    folder = Path(str(path))
    if not folder.exists():
        where = f"not on this machine, but on {state.host}" if _is_elsewhere(state) else "missing"
        raise DataError(f"The images' folder is {where}: {folder}")
    return folder


def _is_elsewhere(state: RunState) -> bool:
    return state.host not in ("", os.uname().nodename)


def mark_text(marked: Marked, likely: str = "") -> Content:
    """Return `▸ relabel cat`, `✗ drop` or `✓ keep`.

    Args:
        marked: The mark.
        likely: Name of a class that is beside the text, so that it is not repeated.
    """
    glyph, style = GLYPHS[marked.mark]
    name = "" if marked.class_name == likely else f" {safe_text(marked.class_name, MAX_NAME)}"
    return Content.styled(f"{glyph} {marked.mark}{name}".rstrip(), f"bold {style}")


def mark_fact(marked: Marked | None) -> list[Content]:
    """Return the line about a mark beside an enlarged image; nothing without a mark."""
    return [Content.assemble(("mark        ", "$muted"), mark_text(marked))] if marked else []


def count_text(marks: Marks) -> str:
    """Return the number of marks as a sentence; empty without any."""
    counted = Counter(marked.mark for marked in marks.values())
    counts = ", ".join(f"{counted[mark]:,} {mark}" for mark in GLYPHS if counted[mark])
    return f"Marked: {counts}; the next run honours the marks" if counts else ""
