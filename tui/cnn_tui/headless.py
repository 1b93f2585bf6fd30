"""Runs without a dashboard: the engine in its thread, a printer in the main one."""

import os
import signal
import sys
from types import FrameType

from cnn_engine import commands
from cnn_engine.launch import Engine
from cnn_engine.runs import RunDirectory
from cnn_engine.summary import read_summary
from cnn_tui.printer import JsonPrinter, LinePrinter, Printer, follow


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
    """The first SIGINT or SIGTERM asks the run to stop; the second leaves at once."""
    asked = False

    def stop(number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            os._exit(128 + number)
        asked = True
        commands.send(run.commands, commands.Stop(by=signal.Signals(number).name))

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
