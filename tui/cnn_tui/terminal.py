"""Keeping the terminal for the dashboard alone while it is shown."""

import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def screen_to_ourselves(console: Path) -> Iterator[None]:
    """Send all that is written to file descriptors 1 and 2 to a file, but for what Textual draws.

    Libraries print, warn, and write from C, from any thread; on a drawn screen that is litter.
    Textual draws on `sys.__stderr__` and asks `sys.__stdout__` for the size, so these two get a
    duplicate of the terminal.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    saved = os.dup(1), os.dup(2)
    streams = sys.__stdout__, sys.__stderr__
    with (
        os.fdopen(os.dup(2), "w", encoding="utf-8", errors="replace") as screen,
        console.open("ab") as log,
    ):
        sys.__stdout__ = sys.__stderr__ = screen  # type: ignore[misc]
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        try:
            yield
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            sys.__stdout__, sys.__stderr__ = streams  # type: ignore[misc]
            for descriptor, copy in enumerate(saved, start=1):
                os.dup2(copy, descriptor)
                os.close(copy)


def takes_output() -> bool:
    """Whether the terminal would take more now; not if it is stopped, stalled or far behind."""
    if sys.__stderr__ is None:
        return False
    _, writable, _ = select.select([], [sys.__stderr__.fileno()], [], 0)
    return bool(writable)
