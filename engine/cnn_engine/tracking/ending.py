"""Ends open runs as their program ends: with its exception or its exit code."""

import atexit
import os
import sys
from collections.abc import Callable
from types import TracebackType
from typing import Any, NoReturn, Protocol
from weakref import WeakSet


class Endable(Protocol):
    """A run that may be open as its program ends."""

    def end(self, error: BaseException | None) -> None:
        """End the run: with an exception if the program failed."""

    def forget(self) -> None:
        """Leave the run to another process, from which this one was forked."""


_open: WeakSet[Endable] = WeakSet()
_is_installed = False
_exit_code: object = None


def end_at_exit(run: Endable) -> None:
    """End a run as the program ends, unless it has ended before."""
    global _is_installed  # noqa: PLW0603 - hooks of the process are installed once
    _open.add(run)
    if _is_installed:
        return
    _is_installed = True
    atexit.register(_end_all, None)
    os.register_at_fork(after_in_child=_forget_all)
    sys.excepthook = _hook(sys.excepthook)
    sys.exit = _exit(sys.exit)  # type: ignore[assignment]  # the code is told to nobody else


def _hook(
    previous: Callable[[type[BaseException], BaseException, TracebackType | None], object],
) -> Callable[[type[BaseException], BaseException, TracebackType | None], object]:
    def end_and_report(
        kind: type[BaseException], error: BaseException, traceback: TracebackType | None
    ) -> object:
        _end_all(error)
        return previous(kind, error, traceback)

    return end_and_report


def _exit(previous: Callable[[Any], NoReturn]) -> Callable[[Any], NoReturn]:
    def exit(status: Any = None, /) -> NoReturn:  # noqa: A001 - takes its place
        global _exit_code  # noqa: PLW0603
        _exit_code = status
        previous(status)

    return exit


def _end_all(error: BaseException | None) -> None:
    if error is None and _exit_code not in (None, 0):
        error = SystemExit(_exit_code)
    for run in list(_open):
        run.end(error)


def _forget_all() -> None:
    for run in list(_open):
        run.forget()
    _open.clear()
