"""The dashboard: a Textual app over run directories."""

import asyncio
import signal
from pathlib import Path

from textual.app import App
from textual.screen import Screen

from cnn_engine.launch import Engine
from cnn_engine.runs import RunDirectory
from cnn_tui.report import show_run
from cnn_tui.screens.run import RunScreen
from cnn_tui.screens.runs import RunsScreen
from cnn_tui.terminal import screen_to_ourselves
from cnn_tui.theme import DARK, LIGHT


class Dashboard(App[None]):
    """Shows one screen first; trains, if it is given an engine, in that engine's thread."""

    CSS_PATH = "app.tcss"
    TITLE = "cnn-tui"
    ENABLE_COMMAND_PALETTE = False

    def __init__(self, first: Screen[None], engine: Engine | None = None) -> None:
        super().__init__()
        self._first = first
        self._engine = engine
        self.register_theme(DARK)
        self.register_theme(LIGHT)
        self.theme = DARK.name

    def on_mount(self) -> None:
        """Show the first screen; start the engine only once it is painted."""
        self.push_screen(self._first)
        if self._engine is not None:
            self._stop_on_signals()
            self.call_after_refresh(self._engine.start)

    def _stop_on_signals(self) -> None:
        """Textual has no handlers of its own for these, and would leave the terminal broken."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop, number.name)

    def _stop(self, by: str) -> None:
        if isinstance(self._first, RunScreen):
            self._first.stop(by, leave=True)


def run_dashboard(engine: Engine, run: RunDirectory) -> int:
    """Train under the dashboard; the exit code. The run's summary stays in the shell."""
    app = Dashboard(RunScreen(run, trains_here=True), engine)
    with screen_to_ourselves(run.console):
        app.run()
        engine.join()
    show_run(run)
    return app.return_code or engine.exit_code


def watch_run(run: RunDirectory) -> None:
    """Show a run of any process; its summary stays in the shell."""
    Dashboard(RunScreen(run)).run()
    show_run(run)


def show_runs(runs_dir: Path) -> None:
    """Browse the runs."""
    Dashboard(RunsScreen(runs_dir)).run()
