"""Runs without a dashboard: the engine in its thread, a printer in the main thread."""

import faulthandler
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from cnn_engine.errors import TrainingError
from cnn_engine.runlog.log import LogReader, write_advice
from cnn_engine.runlog.state import RunState
from cnn_engine.runs.directory import RunDirectory
from cnn_engine.runs.hints import how_to_resume
from cnn_engine.runs.queue_places import queue_place
from cnn_engine.runs.summary import read_summary
from cnn_tui.headless.printer import JsonPrinter, LinePrinter
from cnn_tui.live.follower import Printer, follow
from cnn_tui.settings import OnHangup
from cnn_tui.terminal.signals import StopSignals
from cnn_tui.terminal.status import hide_status
from cnn_tui.terminal.tty import hangup_proof_stream, notify
from cnn_tui.text.shell import command_for

if TYPE_CHECKING:
    # The engine imports pydantic, which `watch` does not need.
    from cnn_engine.session.engine import Engine


def run_headless(
    engine: "Engine",
    run: RunDirectory,
    as_json: bool = False,
    on_hangup: OnHangup = OnHangup.TRAIN,
    skip_bytes: int | None = None,
) -> int:
    """Train and print, and return the exit code.

    Args:
        engine: The engine, started or not.
        run: The run it trains.
        as_json: Print events as JSON.
        on_hangup: Reaction to the loss of the terminal.
        skip_bytes: Bytes at the start of the log whose events are not printed, because an earlier
            session printed them; by default the current size of the log.

    Raises:
        StorageError: the end of the log could not be written.
    """
    out, err = hangup_proof_streams(_handle_signals(engine, run, on_hangup))
    faulthandler.enable()
    printer: Printer = JsonPrinter(out) if as_json else LinePrinter(out, err)
    skip_bytes = run.events.stat().st_size if skip_bytes is None else skip_bytes
    state, reader = read_shown(run, printer, skip_bytes)
    engine.start()
    follow(state, reader, printer, _end_check(engine, printer))
    engine.join()
    if engine.notice:
        notify(engine.notice)
    if state.phase == "stopped" and state.checkpoints:
        notify(resume_hint(run))
    return engine.exit_code


def read_shown(run: RunDirectory, printer: Printer, skip_bytes: int) -> tuple[RunState, LogReader]:
    """Read a run's log so far, and print the events beyond its first `skip_bytes` bytes."""
    state, reader = RunState(), LogReader(run.events)
    for event in reader.poll():
        state.apply(event)
        if reader.bytes_read > skip_bytes:
            printer.show(event, state)
    return state, reader


def _handle_signals(engine: "Engine", run: RunDirectory, on_hangup: OnHangup) -> Callable[[], Path]:
    """Install signal handlers; return the function to call when the terminal is lost.

    That function returns the file to print to afterwards.
    """

    def hang_up() -> Path:
        if on_hangup == OnHangup.STOP:
            engine.request_stop(signal.SIGHUP)
        return run.console

    def quit_now(number: signal.Signals) -> None:
        hide_status()
        notify(f"quit immediately. {resume_hint(run)}")
        os._exit(128 + number)

    StopSignals(engine.request_stop, quit_now)
    signal.signal(signal.SIGHUP, lambda *_: hang_up())
    return hang_up


def _end_check(engine: "Engine", printer: Printer) -> Callable[[RunState], bool]:
    """Return a check for the end of training that also reports a log that cannot be written."""
    reported = ""

    def is_over(_: RunState) -> bool:
        nonlocal reported
        if engine.write_error != reported:
            reported = engine.write_error
            if reported:
                printer.clear()
                notify(
                    f"the log cannot be written: {reported}; training continues; "
                    f"{write_advice(reported)}"
                )
        return not engine.is_alive()

    return is_over


def watch_headless(run: RunDirectory) -> int:
    """Print the events of a run trained by any process until it ends, and return its exit code.

    Raises:
        TrainingError: the process that trained it was killed.
    """
    host = read_summary(run).host
    printer = LinePrinter(sys.stdout, sys.stderr)
    reader = LogReader(run.events)
    state = follow(RunState(), reader, printer, lambda state: _has_ended(state, run, host))
    if not state.has_ended and not state.imported:
        raise TrainingError(
            f"run {run.id}: was interrupted: the process that trained it ended without a word; "
            f"{how_to_resume(state, run)}"
        )
    return state.finished.exit_code if state.finished else 0


def _has_ended(state: RunState, run: RunDirectory, host: str) -> bool:
    """Return True if the run has ended, or no process trains it and it does not wait in a queue."""
    # The queue comes first: an entry is removed once its process holds the log.
    return state.has_ended or not (queue_place(run, host) or run.is_live(host))


def resume_hint(run: RunDirectory) -> str:
    """Return `Resume with: cnn-tui resume …`, for a run that was stopped."""
    return f"Resume with: {command_for('resume', run)}"


def hangup_proof_streams(fallback: Callable[[], Path]) -> tuple[TextIO, TextIO]:
    """Replace stdout and stderr by streams that survive the loss of the terminal; return them.

    Args:
        fallback: Returns the file to write to after the loss.
    """
    sys.stdout = hangup_proof_stream(1, fallback, sys.stdout.encoding)
    sys.stderr = hangup_proof_stream(2, fallback, sys.stderr.encoding)
    return sys.stdout, sys.stderr
