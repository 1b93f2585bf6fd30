"""Runs without a dashboard: the engine in its thread, a printer in the main one."""

import os
import signal
import sys
import time
from types import FrameType

from cnn_engine import commands
from cnn_engine.launch import Engine
from cnn_engine.runs import RunDirectory
from cnn_engine.summary import read_summary
from cnn_tui.printer import JsonPrinter, LinePrinter, Printer, follow

SAME_SIGNAL_SECONDS = 0.3
"""Signals closer than this are one: `timeout` and some shells send to a process and its group."""


def run_headless(engine: Engine, run: RunDirectory, as_json: bool) -> int:
    """Train and print; the exit code."""
    _stop_on_signals(run)
    printer: Printer = JsonPrinter(sys.stdout) if as_json else LinePrinter(sys.stdout, sys.stderr)
    engine.start()
    follow(run, printer, ended=lambda: not engine.is_alive())
    return engine.exit_code


def watch_headless(run: RunDirectory) -> None:
    """Print a run of any process, to its end."""
    host = read_summary(run).host
    follow(run, LinePrinter(sys.stdout, sys.stderr), ended=lambda: not run.is_live(host))


def _stop_on_signals(run: RunDirectory) -> None:
    """The first SIGINT or SIGTERM asks the run to stop; a second one leaves at once."""
    asked_at: float | None = None

    def stop(number: int, _frame: FrameType | None) -> None:
        nonlocal asked_at
        now = time.monotonic()
        if asked_at is None:
            asked_at = now
            commands.send(run.commands, commands.Stop(by=signal.Signals(number).name))
        elif now - asked_at > SAME_SIGNAL_SECONDS:
            os._exit(128 + number)

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
