"""Ends open runs as their program ends: with its exception or its exit code."""

import atexit
import os
import sys
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, NoReturn, Protocol
from weakref import WeakSet


class Endable(Protocol):
    """A run that may be open as its program ends."""

    thread_id: int
    """Thread that logged last, as `threading.get_ident` has it; 0 before."""

    def end(self, error: BaseException | None) -> None:
        """End the run: with an exception if the program failed."""

    def forget(self) -> None:
        """Leave the run to another process, from which this one was forked."""


class Ending:
    """Hooks of the process, while a run is open."""

    def __init__(self) -> None:
        self._open: WeakSet[Endable] = WeakSet()
        self._exit_code: object = None
        self._ends_child: object = None
        """Set in a process that multiprocessing has started."""
        self._excepthook, self._exit = sys.excepthook, sys.exit
        self._thread_hook = threading.excepthook
        atexit.register(self._at_exit)
        os.register_at_fork(after_in_child=self._in_child)

    def add(self, run: Endable) -> None:
        """End a run as the program ends, unless it has ended before."""
        if sys.excepthook != self._on_exception:
            self._excepthook, sys.excepthook = sys.excepthook, self._on_exception
        if sys.exit != self._on_exit:
            self._exit, sys.exit = sys.exit, self._on_exit  # at exit the code is unknown
        if threading.excepthook != self._on_thread_exception:
            self._thread_hook = threading.excepthook
            threading.excepthook = self._on_thread_exception
        if self._ends_child is None:
            self._ends_child = _at_exit_of_child(self._end)
        self._open.add(run)

    def remove(self, run: Endable) -> None:
        """Leave a run that has ended; with the last one the hooks are removed."""
        self._open.discard(run)
        if self._open:
            return
        if sys.excepthook == self._on_exception:  # nobody has replaced it
            sys.excepthook = self._excepthook
        if sys.exit == self._on_exit:
            sys.exit = self._exit
        if threading.excepthook == self._on_thread_exception:
            threading.excepthook = self._thread_hook

    def _on_exception(
        self, kind: type[BaseException], error: BaseException, traceback: TracebackType | None
    ) -> None:
        report = self._excepthook
        if not (sys.flags.interactive or hasattr(sys, "ps1")):  # else the program goes on
            self._end(error)
        report(kind, error, traceback)

    def _on_thread_exception(self, failure: threading.ExceptHookArgs, /) -> None:
        """End the runs that a thread logged which an exception ends."""
        report = self._thread_hook
        error, thread = failure.exc_value, failure.thread
        if thread is not None and not isinstance(error, SystemExit):  # ends just the thread
            for run in list(self._open):
                if run.thread_id == thread.ident:
                    run.end(error or failure.exc_type())
        report(failure)

    def _on_exit(self, status: Any = None, /) -> NoReturn:
        if threading.current_thread() is threading.main_thread():  # others end only themselves
            self._exit_code = status
        self._exit(status)

    def _at_exit(self) -> None:
        self._end(None if self._exit_code in (None, 0) else SystemExit(self._exit_code))

    def _end(self, error: BaseException | None) -> None:
        for run in list(self._open):
            run.end(error)

    def _in_child(self) -> None:
        self._ends_child = None
        for run in list(self._open):
            run.forget()
            self.remove(run)


def _at_exit_of_child(end: Callable[[BaseException | None], None]) -> object:
    """Call `end` as a process of multiprocessing ends, with its exception if it fails.

    A forked one ends without `atexit` and `sys.excepthook`. Return None in other processes.
    """
    process = sys.modules.get("multiprocessing.process")
    if process is None or process.parent_process() is None:
        return None
    from multiprocessing.util import Finalize  # noqa: PLC0415 - takes 20 ms in other processes

    return Finalize(None, lambda: end(sys.exc_info()[1]), exitpriority=0)


ENDING = Ending()
"""Ends the open runs of this process."""
