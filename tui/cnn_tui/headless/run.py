"""Runs without a dashboard: the engine in its thread, a printer in the main one."""

import faulthandler
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from cnn_engine.errors import StorageError
from cnn_engine.runlog.log import LogReader
from cnn_engine.runlog.state import RunState
from cnn_engine.runs.commands import Command, send
from cnn_engine.runs.directory import RunDirectory
from cnn_engine.runs.summary import read_summary
from cnn_tui.headless.printer import JsonPrinter, LinePrinter
from cnn_tui.live.follower import Printer, follow
from cnn_tui.settings import OnHangup
from cnn_tui.terminal.signals import HANGUP_EXIT_CODE, StopSignals
from cnn_tui.terminal.tty import DEV_NULL, hangup_proof_stream, notify
from cnn_tui.text.shell import command_for

if TYPE_CHECKING:
    # Its config takes pydantic, which `watch` need not wait for.
    from cnn_engine.session.engine import Engine


def run_headless(
    engine: "Engine",
    run: RunDirectory,
    as_json: bool = False,
    on_hangup: OnHangup = OnHangup.TRAIN,
    earlier: int | None = None,
) -> int:
    """Train and print; the exit code.

    Args:
        engine: Trains; it may have begun already.
        run: What it trains.
        as_json: Print events as JSON.
        on_hangup: What becomes of the run if the terminal is lost.
        earlier: Bytes of the log that earlier sessions wrote, and printed; by default all.

    Raises:
        StorageError: the end of the log could not be written.
    """
    out, err = hangup_proof_streams(_take_signals(run, on_hangup))
    if sys.stderr is not None:
        faulthandler.enable()
    printer: Printer = JsonPrinter(out) if as_json else LinePrinter(out, err)
    earlier = run.events.stat().st_size if earlier is None else earlier
    state, reader = RunState(), LogReader(run.events)
    for event in reader.poll():
        state.apply(event)
        if reader.bytes_read > earlier:
            printer.show(event, state)
    engine.start()
    follow(state, reader, printer, _until_it_ends(engine, printer))
    engine.join()
    if state.phase == "stopped" and state.checkpoints:
        notify(resume_hint(run))
    return engine.exit_code


def _take_signals(run: RunDirectory, on_hangup: OnHangup) -> Callable[[], Path]:
    """Obey signals from now on; what to do when the terminal is lost, and where to print then."""

    def hang_up() -> Path:
        if on_hangup == OnHangup.STOP:
            request_stop(run, signal.SIGHUP)
        return run.console

    def leave_at_once(number: signal.Signals) -> None:
        notify(f"left at once; {resume_hint(run)}")
        os._exit(128 + number)

    StopSignals(lambda number: request_stop(run, number), leave_at_once)
    signal.signal(signal.SIGHUP, lambda *_: hang_up())
    return hang_up


def _until_it_ends(engine: "Engine", printer: Printer) -> Callable[[RunState], bool]:
    """Whether nothing more can come; meanwhile it says when the log cannot be written."""
    told = ""

    def is_over(_: RunState) -> bool:
        nonlocal told
        if engine.write_error != told:
            told = engine.write_error
            if told:
                printer.clear()
                notify(
                    f"the log cannot be written: {told}; training goes on, make room on the disk"
                )
        return not engine.is_alive()

    return is_over


def watch_headless(run: RunDirectory) -> None:
    """Print a run of any process, to its end."""
    host = read_summary(run).host
    printer = LinePrinter(*hangup_proof_streams(lambda: os._exit(HANGUP_EXIT_CODE)))
    reader = LogReader(run.events)
    follow(RunState(), reader, printer, lambda state: state.has_ended or not run.is_live(host))


def resume_hint(run: RunDirectory) -> str:
    """What to do about a run that was stopped."""
    return f"what is saved can be trained on: {command_for('resume', run)}"


def request_stop(run: RunDirectory, number: signal.Signals) -> None:
    """Ask a run to stop, because of a signal."""
    try:
        send(run.commands, Command(name="stop", by=number.name))
    except StorageError as error:
        notify(f"{error}; another {number.name} leaves at once")


def hangup_proof_streams(elsewhere: Callable[[], Path]) -> tuple[TextIO, TextIO]:
    """Streams to print to, for libraries too, that go on elsewhere when the terminal is lost.

    A stream that was closed before Python started is None, and is replaced.
    """
    if sys.stdout is not None:
        sys.stdout = hangup_proof_stream(1, elsewhere, sys.stdout.encoding)
    if sys.stderr is not None:
        sys.stderr = hangup_proof_stream(2, elsewhere, sys.stderr.encoding)
    return sys.stdout or DEV_NULL.open("w"), sys.stderr or DEV_NULL.open("w")
