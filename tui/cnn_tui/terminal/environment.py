"""Environment variables that describe the terminal."""

import os
import re
import shutil
from collections.abc import Mapping
from typing import TextIO

MAX_SIZES = {"COLUMNS": 1000, "LINES": 500}
"""Largest size of the terminal that is believed, by variable."""

PLAIN_TERMS = ("", "dumb", "unknown")
"""Values of TERM of terminals that show only lines."""

EMACS_TERMINALS = re.compile(r"\b(vterm|eat|term)\b")
"""Terminal emulators in the value of INSIDE_EMACS; its shell, compilation and eshell buffers show
only lines."""


def is_plain_terminal(environment: Mapping[str, str] = os.environ) -> bool:
    """Return True if the terminal shows only lines, or if it is the log of a CI service."""
    emacs = environment.get("INSIDE_EMACS")
    return (
        environment.get("TERM", "") in PLAIN_TERMS
        or (emacs is not None and not EMACS_TERMINALS.search(emacs))
        or is_ci(environment)
    )


def is_ci(environment: Mapping[str, str] = os.environ) -> bool:
    """Return True in a job of a CI service, all of which set CI."""
    return environment.get("CI", "").lower() not in ("", "0", "false")


def terminal_columns(stream: TextIO, default: int = 80) -> int:
    """Return COLUMNS if it is set, otherwise the width of a terminal, or the default."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isascii() and columns.isdigit():
        return int(columns)
    try:
        return os.get_terminal_size(stream.fileno()).columns or default
    except (OSError, ValueError):  # no terminal, or no file, as in a test
        return default


def normalize_environment() -> None:
    """Make rich, Textual and `shutil` read the same sizes and capabilities.

    Sizes that are not positive numbers are removed, and absurdly large ones limited. A terminal
    that shows only lines becomes `dumb`, so that rich writes no escape sequences either, unless
    FORCE_COLOR asks for them.
    """
    for name, limit in MAX_SIZES.items():
        value = os.environ.get(name)
        if value is None:
            continue
        digits = value.lstrip("0") if value.isascii() and value.isdigit() else ""
        if not digits:
            del os.environ[name]
        elif len(digits) > len(str(limit)) or int(digits) > limit:
            os.environ[name] = str(limit)
    if is_plain_terminal() and not os.environ.get("FORCE_COLOR"):
        os.environ["TERM"] = "dumb"
        # rich believes that a dumb terminal is 80 columns wide unless both variables are set.
        if os.isatty(1):
            os.environ.setdefault("COLUMNS", str(shutil.get_terminal_size().columns))
        if "COLUMNS" in os.environ:
            os.environ.setdefault("LINES", "25")
