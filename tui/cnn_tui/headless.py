"""Runs without a dashboard: the engine in its thread, a printer in the main one."""

import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import TextIO

from cnn_engine.commands import Command, send
from cnn_engine.launch import Engine
from cnn_engine.runlog import LogReader
from cnn_engine.runs import RunDirectory
from cnn_engine.state import RunState
from cnn_engine.summary import read_summary
from cnn_tui.printer import JsonPrinter, LinePrinter, Printer, follow

SAME_SIGNAL_SECONDS = 0.3
"""Signals closer than this are one: `timeout` and some shells send to a process and its group."""


def run_headless(engine: Engine, run: RunDirectory, as_json: bool) -> int:
    """Train and print; the exit code.

    Raises:
        StorageError: the end of the log could not be written.
    """
    _stop_on_signals(run)
    out, err = _streams()
    printer: Printer = JsonPrinter(out) if as_json else LinePrinter(out, err)
    state, reader = RunState(), LogReader(run.events)
    for event in reader.poll():
        state.apply(event)  # of earlier sessions, which were printed then
    engine.start()
    follow(state, reader, printer, ended=lambda _: not engine.is_alive())
    engine.join()
    return engine.exit_code


def watch_headless(run: RunDirectory) -> None:
    """Print a run of any process, to its end."""
    host = read_summary(run).host
    printer = LinePrinter(*_streams())
    reader = LogReader(run.events)
    follow(RunState(), reader, printer, lambda state: state.ended or not run.is_live(host))


def _streams() -> tuple[TextIO, TextIO]:
    """Where to print; a stream that was closed before Python started is None, and is replaced."""
    nowhere = Path(os.devnull)
    return sys.stdout or nowhere.open("w"), sys.stderr or nowhere.open("w")


def _stop_on_signals(run: RunDirectory) -> None:
    """The first SIGINT or SIGTERM asks the run to stop; a second one leaves at once."""
    asked_at: float | None = None

    def stop(number: int, _frame: FrameType | None) -> None:
        nonlocal asked_at
        now = time.monotonic()
        if asked_at is None:
            asked_at = now
            send(run.commands, Command(name="stop", by=signal.Signals(number).name))
        elif now - asked_at > SAME_SIGNAL_SECONDS:
            os._exit(128 + number)

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
