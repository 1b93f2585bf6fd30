"""Runs in real terminals: find them, wait for them, and patch the program that trains them."""

import sys

import psutil

from cnn_engine.runlog.events import EpochFinished
from cnn_engine.runlog.log import LogReader
from cnn_engine.runs.commands import Command, send
from cnn_engine.runs.directory import list_runs
from cnn_engine.runs.summary import read_state
from runs_for_tests import wait_until


def only_run(directory):
    """Return the only run under `directory`."""
    (run,) = list_runs(directory / "runs")
    return run


def epochs_done(run):
    """Return the number of finished epochs in the run's log."""
    return sum(isinstance(event, EpochFinished) for event in LogReader(run.events).poll())


def training_process(run):
    """Return the process that trains a run."""
    return psutil.Process(read_state(run)[0].started.pid)


def end_soon(run):
    """Make an endless run end after ten more epochs."""
    send(run.commands, Command(name="epochs", by="cli", value=epochs_done(run) + 10))


def wait_for_epochs(run, count):
    """Wait until `count` more epochs are done."""
    target = epochs_done(run) + count
    wait_until(lambda: epochs_done(run) >= target)


def child_of(terminal):
    """Return the process under the supervisor."""
    (child,) = psutil.Process(terminal.pid).children()
    return child


def patched_program(directory, imports, name, *body, arguments=()):
    """Return a command that runs cnn-tui with the function `name` replaced.

    Args:
        directory: Where the program is written, and its working directory.
        imports: A line of imports.
        name: Dotted name of the function.
        *body: Lines of the replacement, which has `args` and `options`; `before` is the original.
        arguments: Arguments of cnn-tui.
    """
    lines = [
        imports,
        f"before = {name}",
        "def after(*args, **options):",
        *(f"    {line}" for line in body),
        f"{name} = after",
        "from cnn_tui.main import main",
        "main()",
    ]
    (directory / "program.py").write_text("\n".join(lines) + "\n")
    return [sys.executable, "program.py", *arguments]
