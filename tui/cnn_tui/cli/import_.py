"""`cnn-tui import`: import another program's log as a run, and follow it while it grows."""

import shutil
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cnn_engine.errors import ConfigError, DataError, StorageError, UserError
from cnn_engine.runlog.alarms import Alarm
from cnn_engine.runlog.events import Notice
from cnn_engine.runlog.log import LogReader
from cnn_engine.runs.console import write_traceback
from cnn_engine.runs.directory import RunDirectory, create_run, default_runs_dir
from cnn_engine.system.stop_signals import STOP_SIGNALS
from cnn_tui.cli.options import RunsDir, display_options
from cnn_tui.settings import DEFAULT_OPTIONS, Options
from cnn_tui.terminal.progress_line import ProgressLine
from cnn_tui.terminal.signals import INTERRUPT_EXIT_CODE
from cnn_tui.terminal.tty import has_terminal
from cnn_tui.text.safe import safe_text
from cnn_tui.text.shell import command_for

if TYPE_CHECKING:
    from cnn_engine.importers.importer import Importer
    from cnn_engine.importers.source import Source
    from cnn_engine.progress import Progress
    from cnn_engine.runlog.roles import Role

POLL_SECONDS = 1.0
MAX_LOAD = 0.1
"""Fraction of the time spent on importing while following."""
MAX_FAILURES = 5
"""Failures to read a followed log, one after another, after which the run reports it."""


@display_options()
def import_run(  # noqa: PLR0913 - one parameter per option
    path: Annotated[
        Path,
        typer.Argument(
            metavar="PATH",
            help="CSV or JSON log, TensorBoard event file, or the directory of a run.",
        ),
    ],
    follow: Annotated[
        bool, typer.Option("--follow", help="Keep importing as the log grows.")
    ] = False,
    name: Annotated[str, typer.Option(metavar="NAME", help="Name of the run.")] = "",
    role: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ROLE=SERIES",
            help="Use a series as train_loss, val_loss, train_accuracy, val_accuracy or lr; "
            "ROLE= for none. Can be repeated.",
        ),
    ] = None,
    runs_dir: RunsDir = None,
    no_ui: Annotated[
        bool, typer.Option("--no-ui", help="With --follow: do not open the dashboard.")
    ] = False,
    *,
    options: Options = DEFAULT_OPTIONS,
) -> None:
    """Import a TensorBoard, CSV or JSON log as a run, with all of its series."""
    from cnn_engine.importers.importer import Importer
    from cnn_engine.importers.open import open_source

    chosen = _chosen_roles(role or [])
    try:
        with ProgressLine(sys.stderr) as progress:
            source = open_source(path, runs_dir)
            _read(source, ended=not follow, report=progress.report)
            run = create_run(runs_dir or default_runs_dir(for_new_run=True))
            importer = Importer(source, run, name, chosen)
            try:
                if not follow or not importer.poll(report=progress.report):
                    importer.close(ended=True, report=progress.report)
            except (Exception, KeyboardInterrupt):
                shutil.rmtree(run.path)  # new and of no use
                raise
    except KeyboardInterrupt:
        sys.exit(INTERRUPT_EXIT_CODE)
    if not follow:
        _print_result(run)
        return
    follower = ImportFollower(importer, run)
    follower.start()
    try:
        if no_ui or not has_terminal():
            sys.exit(_follow(follower, run))
        else:
            from cnn_tui.dashboard.launch import watch_run

            sys.exit(watch_run(run, options, follower.find_alarm))
    finally:
        follower.stop()


def _chosen_roles(options: list[str]) -> "dict[Role, str]":
    """Return the series by role.

    Raises:
        ConfigError: an option is not ROLE=SERIES.
    """
    from cnn_engine.runlog.roles import ROLES

    chosen: dict[Role, str] = {}
    for option in options:
        given, has_value, series = option.partition("=")
        role = next((role for role in ROLES if role == given.strip()), None)
        if role is None or not has_value:
            raise ConfigError(f"--role {option}: use ROLE=SERIES with one of {', '.join(ROLES)}")
        chosen[role] = series
    return chosen


def _read(source: "Source", *, ended: bool, report: "Progress") -> None:
    """Read the log as it is now.

    Raises:
        DataError: it cannot be read.
    """
    try:
        source.poll(ended=ended, report=report)
    except OSError as error:
        raise DataError(f"{source.path}: cannot be read: {error.strerror}") from None


def _follow(follower: "ImportFollower", run: RunDirectory) -> int:
    """Print the run, and follow until a signal or an error; return the exit code."""
    received: list[int] = []

    def stop(number: int, _frame: object) -> None:
        received.append(number)
        follower.stopped.set()

    for number in (*STOP_SIGNALS, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:  # as nohup sets it
            signal.signal(number, stop)
    _print_result(run)
    follower.join()
    return 128 + received[0] if received else 0


class ImportFollower(threading.Thread):
    """Thread that imports new values about once a second until stopped."""

    def __init__(self, importer: "Importer", run: RunDirectory) -> None:
        super().__init__(name="importer")
        self._importer, self._run = importer, run
        self._error: UserError | None = None
        self._is_recorded = False
        """True if the error is in the run's log."""
        self.stopped = threading.Event()
        """Set to end the thread."""

    def run(self) -> None:
        """Import until stopped; an error ends the run as failed."""
        seconds, failures = 0.0, 0
        while not self.stopped.wait(max(POLL_SECONDS, seconds / MAX_LOAD)):
            began = time.monotonic()
            try:
                self._importer.poll()
                failures = 0
            except (OSError, DataError) as error:  # the file may be replaced at this moment
                failures += 1
                if failures == MAX_FAILURES:
                    self._importer.report_unreadable(error)
            except Exception as error:  # noqa: BLE001 - the run must be recorded as failed
                self._fail(error)
                return
            seconds = time.monotonic() - began

    def _fail(self, error: Exception) -> None:
        if isinstance(error, UserError):
            self._error = error
        else:
            note = write_traceback(self._run, error)
            self._error = UserError(f"internal error: {type(error).__name__}: {error}; {note}")
        try:
            self._importer.fail(str(self._error), self._error.exit_code)
            self._is_recorded = True
        except StorageError as storage_error:
            self._error = storage_error

    def find_alarm(self) -> Alarm | None:
        """Return the alarm of an import that has ended without a trace in the run's log."""
        if self._error is None or self._is_recorded:
            return None
        return Alarm(
            kind="disk",
            severity="error",
            text=f"The import has ended: {self._error}",
            advice="Quit, and import the log again",
        )

    def stop(self) -> None:
        """End the thread and the run.

        Raises:
            UserError: the import failed, or new values could not be read or written.
        """
        self.stopped.set()
        self.join()
        if self._error:
            raise self._error
        self._importer.close(ended=False)


def _print_result(run: RunDirectory) -> None:
    """Print the imported columns on stderr and the run's id on stdout."""
    for event in LogReader(run.events).poll():
        if isinstance(event, Notice):
            print(safe_text(event.text, 4000), file=sys.stderr)
    print(run.id, flush=True)
    print(f"Open it: {command_for('watch', run)}", file=sys.stderr)
