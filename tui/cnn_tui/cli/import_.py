"""`cnn-tui import`: what another program logs becomes a run, and is followed while it grows."""

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
from cnn_tui.cli.options import Ascii, NoMouse, RunsDir, Theme
from cnn_tui.settings import Options, ThemeName
from cnn_tui.terminal.tty import has_terminal
from cnn_tui.text.safe import safe_text
from cnn_tui.text.shell import command_for

if TYPE_CHECKING:
    from cnn_engine.importers.importer import Importer
    from cnn_engine.importers.sources import Source

POLL_SECONDS = 1.0


def import_run(  # noqa: PLR0913 - one parameter per option
    path: Annotated[
        Path,
        typer.Argument(help="A CSV, an event file of TensorBoard, or a directory of such files."),
    ],
    follow: Annotated[
        bool, typer.Option("--follow", help="Watch it, and go on as it grows, until you leave.")
    ] = False,
    name: Annotated[str, typer.Option(help="A name of your own for the run.")] = "",
    runs_dir: RunsDir = None,
    no_ui: Annotated[bool, typer.Option("--no-ui", help="Follow without the dashboard.")] = False,
    theme: Theme = ThemeName.DARK,
    ascii_only: Ascii = False,
    no_mouse: NoMouse = False,
) -> None:
    """Make a run of what another program logs: losses, accuracies, learning rate."""
    from cnn_engine.importers.importer import Importer
    from cnn_engine.importers.sources import open_source

    source = open_source(path)
    run = create_run(runs_dir or default_runs_dir())
    importer = Importer(source, run, name)
    try:
        has_begun = _poll(importer, source)
        if not follow or not has_begun:
            importer.close(ended=True)
    except UserError:
        shutil.rmtree(run.path)  # made just now, and nothing is in it that could be shown
        raise
    if not follow:
        _tell(run)
        return
    following = Following(importer, source)
    following.start()
    try:
        if no_ui or not has_terminal():
            _tell(run)
            _wait(following)
        else:
            from cnn_tui.dashboard.launch import watch_run

            sys.exit(watch_run(run, Options(theme, ascii_only, not no_mouse)))
    finally:
        following.stop()


def _wait(following: "Following") -> None:
    """Follow until a signal says that it is enough."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: following.stopped.set())
    following.join()


class Following(threading.Thread):
    """Takes in what is new, about once a second, until it is stopped."""

    def __init__(self, importer: "Importer", source: "Source") -> None:
        super().__init__(name="importer")
        self._importer, self._source = importer, source
        self.stopped = threading.Event()
        """Set once it is enough."""

    def run(self) -> None:
        """Go on until stopped."""
        while not self.stopped.wait(POLL_SECONDS):
            try:
                self._importer.poll()
            except (OSError, DataError):
                continue  # it may be replaced by another just now; what was read stands

    def stop(self) -> None:
        """Wait for its end, and end the run.

        Raises:
            StorageError: what is new could not be written.
        """
        self.stopped.set()
        self.join()
        self._importer.close(ended=False)


def _poll(importer: "Importer", source: "Source") -> bool:
    try:
        return importer.poll()
    except OSError as error:
        raise StorageError(f"{source.path}: cannot be read: {error.strerror}") from None


def _tell(run: RunDirectory) -> None:
    """Say what was taken for what on stderr, and the run's id on stdout."""
    for event in LogReader(run.events).poll():
        if isinstance(event, Notice):
            print(safe_text(event.text, 4000), file=sys.stderr)
    print(run.id, flush=True)
    print(f"Open it: {command_for('watch', run)}", file=sys.stderr)
