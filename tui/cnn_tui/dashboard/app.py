"""The dashboard: a Textual app over run directories."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from textual import events
from textual.app import App, SystemCommand
from textual.filter import LineFilter, NoColor
from textual.screen import Screen
from textual.worker import WorkerFailed

from cnn_tui.dashboard.dialogs.dialog import Palette
from cnn_tui.dashboard.driver import DiffDriver
from cnn_tui.dashboard.filters import AsciiGlyphs, NearestColors, ShadeBand
from cnn_tui.dashboard.key_queue import KeyQueue
from cnn_tui.dashboard.keys import NO_KEYMAP, HasKeys, keys_for
from cnn_tui.dashboard.screens.run import RunScreen
from cnn_tui.dashboard.screens.screen import DashboardScreen
from cnn_tui.dashboard.theme import THEMES
from cnn_tui.settings import DEFAULT_OPTIONS, Options
from cnn_tui.terminal.ascii import is_ascii_only
from cnn_tui.terminal.signals import HANGUP_EXIT_CODE
from cnn_tui.terminal.tty import can_write, is_hung_up
from cnn_tui.text.run_status import RunStatus

if TYPE_CHECKING:
    # The engine imports pydantic, which `watch` does not need.
    from cnn_engine.session.engine import Engine

PROBLEM_SECONDS = 15.0
"""Time for which a mistake in the settings is shown."""

CHECK_SECONDS = 1.0
"""Interval at which the terminal is checked for a hangup."""


class Dashboard(App[None]):
    """Shows a first screen, and starts the engine, if there is one, in its thread."""

    CSS_PATH = "app.tcss"
    TITLE = "cnn-tui"
    ENABLE_COMMAND_PALETTE = False
    """Each screen has a key for the palette, which users can change; the app has none."""

    def __init__(
        self,
        first: Screen[None],
        engine: "Engine | None" = None,
        options: Options = DEFAULT_OPTIONS,
        keymap: Mapping[str, str] = NO_KEYMAP,
        problems: Sequence[str] = (),
    ) -> None:
        """Create the app.

        Args:
            first: Screen to show first.
            engine: Trains a run; not started yet. None if this process trains nothing.
            options: Options of the dashboard.
            keymap: Own keys of the user, by id.
            problems: Mistakes in the settings, to be shown for some seconds.
        """
        super().__init__(driver_class=DiffDriver)
        self._first = first
        self._engine = engine
        self._ascii = [AsciiGlyphs()] if options.ascii or is_ascii_only() else []
        self._palette = [NearestColors()] if self.console.color_system == "256" else []
        self._streams = sys.stdout, sys.stderr
        self._event_loop: asyncio.AbstractEventLoop | None = None
        self._exit_code: int | None = None
        self._status: RunStatus | None = None
        self.key_queue = KeyQueue(self, super().on_event)
        self.exited_normally = False
        """True if `exit` was called; False if an exception ended the app."""
        self.failure: Exception | None = None
        """The exception that ended the app."""
        self.animation_level = "none"
        for theme in THEMES.values():
            self.register_theme(theme)
        self.theme = THEMES[options.theme].name
        self.keymap = keymap
        self._problems = problems

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Return the filters of all output: for the colours of the terminal, and for ASCII."""
        if self.no_color:  # Textual's own filter leaves shades of grey, which are colours too
            band = self.theme_variables["band"]
            bands = [] if self.current_theme.ansi else [ShadeBand(band)]
            return [*bands, NoColor(), *self._ascii]
        return [*super().get_line_filters(), *self._palette, *self._ascii]

    @property
    def can_draw_images(self) -> bool:
        """True if images are drawn in coloured half blocks; False for characters."""
        return not self.no_color and not self._ascii

    def on_mount(self) -> None:
        """Show the first screen; start the engine only once it is painted."""
        self._event_loop = asyncio.get_running_loop()
        self.set_keymap(self.keymap)
        self.push_screen(self._first)
        if self._problems:
            self.call_after_refresh(self._report_problems)
        self.set_interval(CHECK_SECONDS, self._check_terminal)
        if self._engine is not None:
            # Textual has replaced both streams with ones that discard output.
            sys.stdout, sys.stderr = self._streams
            self.call_after_refresh(self._engine.start)

    def _report_problems(self) -> None:
        """Show the first mistake in the settings, and the number of others."""
        first, *others = self._problems
        text = f"Settings, 1 of {len(others) + 1} mistakes: {first}" if others else first
        if isinstance(self._first, DashboardScreen):
            self._first.report(text, PROBLEM_SECONDS)

    async def on_event(self, event: events.Event) -> None:
        """Put new keys and pasted texts in the queue, and handle other events at once."""
        if isinstance(event, events.Key | events.Paste) and not event.is_forwarded:
            await self.key_queue.put(event)
        else:
            await super().on_event(event)

    def exit(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - passed on
        """Exit, and record that it was intended."""
        self.exited_normally = True
        super().exit(*arguments, **options)

    def _handle_exception(self, error: Exception) -> None:
        """Store the exception; Textual would print it in colours, with the values of variables."""
        # The error of a worker, such as that of a dialog, has the traceback.
        cause = error.error if isinstance(error, WorkerFailed) else error
        self.failure = self.failure or (cause if isinstance(cause, Exception) else error)
        super()._handle_exception(error)
        self._exit_renderables.clear()

    def exit_from_signal(self, code: int) -> None:
        """Exit with a code; safe in a signal handler."""
        self._exit_code = code
        self.call_from_signal(self._check_terminal)

    def call_from_signal(self, callback: Callable[[], object]) -> None:
        """Call a function between two messages; safe in a signal handler."""
        if self._event_loop is not None and self.is_running:
            self._event_loop.call_soon_threadsafe(self.call_later, callback)

    def _check_terminal(self) -> None:
        """Exit if a signal handler has set the exit code, or if the terminal was hung up."""
        if not self.is_headless and is_hung_up(0):
            self._exit_code = HANGUP_EXIT_CODE
        if self._exit_code is not None:
            self.exit(return_code=self._exit_code)
        self.show_status(self._status)

    def show_status(self, status: RunStatus | None) -> None:
        """Show the status of a run in the terminal's title, now or within a second.

        Args:
            status: The status; None if no run is open.
        """
        self._status = status
        if isinstance(self._driver, DiffDriver) and can_write():
            self._driver.show_status(status)

    def notify_desktop(self, text: str) -> None:
        """Show a notification beside the terminal, if it can."""
        if isinstance(self._driver, DiffDriver) and can_write():
            self._driver.notify(text)

    def can_draw(self, *, is_reply: bool = False) -> bool:
        """Return True if drawing is useful now and within the byte budget.

        Args:
            is_reply: True if it shows the effect of a key, which the budget does not limit.
        """
        if not isinstance(self._driver, DiffDriver):
            return True
        return can_write() and (is_reply or self._driver.budget.has_room())

    async def action_quit(self) -> None:
        """Exit; if that would end a run, its screen asks for confirmation first."""
        for screen in self.screen_stack:
            if isinstance(screen, RunScreen) and screen.is_training_here:
                screen.action_quit()
                return
        self.exit()

    def action_command_palette(self) -> None:
        """Open the palette."""
        if not isinstance(self.screen, Palette):
            self.push_screen(Palette(id="--command-palette"))

    def action_suspend_process(self) -> None:
        """Stop the process until the shell continues it; report it if there is no such shell."""
        if self._driver is not None and self._driver.can_suspend:
            os.kill(os.getpid(), signal.SIGTSTP)
            return
        text = "Cannot suspend: no shell with job control started this program"
        for screen in self.screen_stack:
            if isinstance(screen, DashboardScreen):
                screen.report(text)

    def action_redraw(self) -> None:
        """Redraw the whole screen, in case another program has written on it."""
        if isinstance(self._driver, DiffDriver):
            self._driver.invalidate()
        self.screen.refresh(layout=True)

    def action_next_theme(self) -> None:
        """Switch to the next theme."""
        names = [theme.name for theme in THEMES.values()]
        self.theme = names[(names.index(self.theme) + 1) % len(names)]

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Yield the commands of the palette: the actions of the keys, and the themes."""
        if isinstance(screen, HasKeys):
            for key in keys_for(*screen.scopes, keymap=self.keymap):
                can_run = screen.can_control or not key.controls
                if key.in_palette and can_run and not screen.is_useless(key):
                    run = partial(self.run_action, key.action, screen.target(key.scope))
                    yield SystemCommand(key.help, f"key {key.shown}", run)
        for name, theme in THEMES.items():
            yield SystemCommand(f"Theme: {name}", "", partial(setattr, self, "theme", theme.name))
