"""The dashboard: a Textual app over run directories."""

import asyncio
import signal
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from textual.app import App, SystemCommand
from textual.filter import LineFilter, NoColor
from textual.screen import Screen

from cnn_engine.runs import RunDirectory
from cnn_tui.driver import ThriftyDriver
from cnn_tui.glyphs import AsciiGlyphs, is_ascii_only
from cnn_tui.keys import keys_of
from cnn_tui.options import DEFAULTS, Options
from cnn_tui.screens.run import RunScreen
from cnn_tui.terminal import screen_to_ourselves, takes_output
from cnn_tui.theme import THEMES

if TYPE_CHECKING:
    # Its config takes pydantic, which `watch` need not wait for.
    from cnn_engine.launch import Engine

MOVES = ("move", "scroll", "page", "app.")
"""Actions that are of no use from the palette: it would have to be opened for every step."""


class Dashboard(App[None]):
    """Shows one screen first; trains, if it is given an engine, in that engine's thread."""

    CSS_PATH = "app.tcss"
    TITLE = "cnn-tui"
    ALLOW_SELECT = False  # panels repaint single cells, which a selection would be lost in

    def __init__(
        self, first: Screen[None], engine: "Engine | None" = None, options: Options = DEFAULTS
    ) -> None:
        super().__init__(driver_class=ThriftyDriver)
        self._first = first
        self._engine = engine
        self._ascii = [AsciiGlyphs()] if options.ascii or is_ascii_only() else []
        self.animation_level = "none"
        for theme in THEMES.values():
            self.register_theme(theme)
        self.theme = THEMES[options.theme].name

    def get_line_filters(self) -> Sequence[LineFilter]:
        """How all that is drawn is changed in the end: without colours, in ASCII."""
        if self.no_color:  # Textual's own filter leaves shades of grey, which are colours too
            return [NoColor(), *self._ascii]
        return [*super().get_line_filters(), *self._ascii]

    def on_mount(self) -> None:
        """Show the first screen; start the engine only once it is painted."""
        self.push_screen(self._first)
        if self._engine is not None:
            self._stop_on_signals()
            self.call_after_refresh(self._engine.start)

    def may_draw(self, *, at_once: bool = False) -> bool:
        """Whether it is of any use to draw now, and no more than may be written to a terminal.

        Args:
            at_once: However much has been written, as it is the answer to a key.
        """
        if not isinstance(self._driver, ThriftyDriver):
            return True
        return takes_output() and (at_once or self._driver.allowance.is_left())

    def _stop_on_signals(self) -> None:
        """Textual has no handlers of its own for these, and would leave the terminal broken."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop, number.name)

    def _stop(self, by: str) -> None:
        if isinstance(self._first, RunScreen):
            self._first.controls.stop_and_leave(by)

    async def action_quit(self) -> None:
        """Leave as the screen would; Textual's own key for it would not ask."""
        if isinstance(self.screen, RunScreen):
            self.screen.action_leave()
        else:
            self.exit()

    def action_redraw(self) -> None:
        """Paint all again, over what something else may have left on the screen."""
        if isinstance(self._driver, ThriftyDriver):
            self._driver.forget()
        self.screen.refresh(layout=True)

    def action_next_theme(self) -> None:
        """Change to the next theme."""
        names = [theme.name for theme in THEMES.values()]
        self.theme = names[(names.index(self.theme) + 1) % len(names)]

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """What the palette offers: what the keys do, and the themes."""
        if isinstance(screen, RunScreen):
            for key in keys_of("run", screen.place):
                if key.action.startswith(MOVES):
                    continue
                yield SystemCommand(key.help, f"key {key.shown}", partial(screen.press, key))
        for name, theme in THEMES.items():
            yield SystemCommand(f"Theme: {name}", "", partial(setattr, self, "theme", theme.name))


def run_dashboard(engine: "Engine", run: RunDirectory, options: Options) -> int:
    """Train under the dashboard; the exit code. The run's summary stays in the shell."""
    app = Dashboard(RunScreen(run, trains_here=True, bell=options.bell), engine, options)
    with screen_to_ourselves(run.console):
        app.run(mouse=options.mouse)
        engine.join()
    _leave_summary(run)
    return app.return_code or engine.exit_code


def watch_run(run: RunDirectory, options: Options) -> None:
    """Show a run of any process; its summary stays in the shell."""
    Dashboard(RunScreen(run, bell=options.bell), options=options).run(mouse=options.mouse)
    _leave_summary(run)


def show_runs(runs_dir: Path, options: Options) -> None:
    """Browse the runs."""
    from cnn_tui.screens.runs import RunsScreen  # noqa: PLC0415 - as above

    Dashboard(RunsScreen(runs_dir), options=options).run(mouse=options.mouse)


def _leave_summary(run: RunDirectory) -> None:
    from cnn_tui.report import show_run  # noqa: PLC0415 - plotext would delay the first paint

    show_run(run)
