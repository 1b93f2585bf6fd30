"""Asks the terminal for its name and abilities, as environment variables do not cross SSH."""

import os
import re
import select
import termios
import time
import tty
from contextlib import suppress
from typing import NamedTuple

QUERIES = b"\x1b[>0q\x1b[c"
"""XTVERSION, and primary device attributes, which every terminal answers, and in order."""

NAME = re.compile(rb"\x1bP>\|([^\x1b]*)\x1b\\")
ATTRIBUTES = re.compile(rb"\x1b\[\?([0-9;]*)c")

CLIPBOARD = 52
"""Device attribute of terminals that take text for the clipboard (OSC 52)."""


class Answers(NamedTuple):
    """Answers of a terminal."""

    name: str = ""
    """Name and version, such as `kitty(0.35.2)`; empty if it gives none."""

    attributes: frozenset[int] = frozenset()
    """Device attributes."""


def ask_terminal(seconds: float = 1.0, source: int = 0, target: int = 1) -> Answers:
    """Return what a terminal answers within a time.

    Nothing is asked in the background, where reading would stop the process. Text that is typed in
    the meantime is lost.

    Args:
        seconds: Time to wait.
        source: File descriptor to read from.
        target: File descriptor to write to.
    """
    try:
        if os.tcgetpgrp(source) != os.getpgrp():
            return Answers()
        before = termios.tcgetattr(source)
    except (OSError, termios.error):  # no terminal
        return Answers()
    try:
        tty.setcbreak(source)
        os.write(target, QUERIES)
        return parse_answers(_read(source, seconds))
    except OSError:
        return Answers()
    finally:
        with suppress(termios.error):
            termios.tcsetattr(source, termios.TCSAFLUSH, before)


def _read(source: int, seconds: float) -> bytes:
    """Return the bytes up to the last answer, or those that arrive within the time."""
    received, deadline = b"", time.monotonic() + seconds
    while not ATTRIBUTES.search(received):
        ready, _, _ = select.select([source], [], [], max(0.0, deadline - time.monotonic()))
        if not ready or not (new := os.read(source, 4096)):
            break
        received += new
    return received


def parse_answers(received: bytes) -> Answers:
    """Return the answers in what a terminal has sent."""
    name, attributes = NAME.search(received), ATTRIBUTES.search(received)
    numbers = attributes[1].split(b";") if attributes else []
    return Answers(
        name[1].decode(errors="replace") if name else "",
        frozenset(int(number) for number in numbers if number),
    )
