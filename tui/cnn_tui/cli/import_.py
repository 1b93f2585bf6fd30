"""`cnn-tui import`: import another program's log as a run, and follow it while it grows."""

import shutil
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cnn_engine.errors import DataError, StorageError, UserError
from cnn_engine.runlog.events import Notice
from cnn_engine.runlog.log import LogReader
from cnn_engine.runs.directory import RunDirectory, create_run, default_runs_dir
from cnn_engine.session.stop_signals import STOP_SIGNALS
from cnn_tui.cli.options import RunsDir, display_options
from cnn_tui.settings import DEFAULT_OPTIONS, Options
from cnn_tui.terminal.tty import has_terminal
from cnn_tui.text.safe import safe_text
from cnn_tui.text.shell import command_for

if TYPE_CHECKING:
    from cnn_engine.importers.importer import Importer
    from cnn_engine.importers.sources import Source

POLL_SECONDS = 1.0


@display_options()
def import_run(  # noqa: PLR0913 - one parameter per option
    path: Annotated[
        Path,
        typer.Argument(
            metavar="PATH",
            help="CSV file, TensorBoard event file, or a directory of event files.",
        ),
    ],
    follow: Annotated[
        bool, typer.Option("--follow", help="Keep importing as the log grows.")
    ] = False,
    name: Annotated[str, typer.Option(help="Name of the run.")] = "",
    runs_dir: RunsDir = None,
    no_ui: Annotated[
        bool, typer.Option("--no-ui", help="With --follow: do not open the dashboard.")
    ] = False,
    *,
    options: Options = DEFAULT_OPTIONS,
) -> None:
    """Import a TensorBoard or CSV log as a run: losses, accuracies, learning rate."""
    from cnn_engine.importers.importer import Importer
    from cnn_engine.importers.sources import open_source

    source = open_source(path)
    run = create_run(runs_dir or default_runs_dir(for_new_run=True))
    importer = Importer(source, run, name)
    try:
        has_started = _poll(importer, source)
        if not follow or not has_started:
            importer.close(ended=True)
    except UserError:
        shutil.rmtree(run.path)  # new and empty
        raise
    if not follow:
        _print_result(run)
        return
    follower = ImportFollower(importer, source)
    follower.start()
    try:
        if no_ui or not has_terminal():
            _print_result(run)
            _wait(follower)
        else:
            from cnn_tui.dashboard.launch import watch_run

            sys.exit(watch_run(run, options))
    finally:
        follower.stop()


def _wait(follower: "ImportFollower") -> None:
    """Follow until a signal stops it."""
    for number in STOP_SIGNALS:
        signal.signal(number, lambda *_: follower.stopped.set())
    follower.join()


class ImportFollower(threading.Thread):
    """Thread that imports new values about once a second until stopped."""

    def __init__(self, importer: "Importer", source: "Source") -> None:
        super().__init__(name="importer")
        self._importer, self._source = importer, source
        self.stopped = threading.Event()
        """Set to end the thread."""

    def run(self) -> None:
        """Import until stopped."""
        while not self.stopped.wait(POLL_SECONDS):
            try:
                self._importer.poll()
            except (OSError, DataError):
                continue  # the file may be replaced at this moment

    def stop(self) -> None:
        """End the thread and the run.

        Raises:
            StorageError: new values could not be written.
        """
        self.stopped.set()
        self.join()
        self._importer.close(ended=False)


def _poll(importer: "Importer", source: "Source") -> bool:
    """Import what is in the log; return True if the run has started.

    Raises:
        StorageError: the log cannot be read.
    """
    try:
        return importer.poll()
    except OSError as error:
        raise StorageError(f"{source.path}: cannot be read: {error.strerror}") from None


def _print_result(run: RunDirectory) -> None:
    """Print the imported columns on stderr and the run's id on stdout."""
    for event in LogReader(run.events).poll():
        if isinstance(event, Notice):
            print(safe_text(event.text, 4000), file=sys.stderr)
    print(run.id, flush=True)
    print(f"Open it: {command_for('watch', run)}", file=sys.stderr)
