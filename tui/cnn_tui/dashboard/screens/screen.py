"""The base of all screens: key bar, help, messages, closing."""

from typing import TypeVar

from textual import getters
from textual.dom import DOMNode
from textual.screen import Screen

from cnn_tui.dashboard.dialogs.help import HelpScreen
from cnn_tui.dashboard.keys import Key, Scope, shown_key
from cnn_tui.dashboard.widgets.key_bar import MESSAGE_SECONDS, KeyBar
from cnn_tui.text.run_status import RunStatus

Result = TypeVar("Result")

POLL_SECONDS = 1.0
"""Time between two reads of the files that other processes write."""

SLOW_SECONDS = 5.0
"""Duration of a read from which on a message says that the files do not answer."""


class DashboardScreen(Screen[None]):
    """A screen whose keys are in the table and in the key bar at the bottom."""

    AUTO_FOCUS = ""
    VERTICAL_BREAKPOINTS = [(0, "-low"), (16, "-short"), (30, "-tall")]

    key_bar = getters.query_one(KeyBar)

    @property
    def scopes(self) -> tuple[Scope, ...]:
        """Scopes whose keys work now."""
        raise NotImplementedError

    @property
    def shown_view(self) -> str:
        """Name of the view that is shown; empty without views."""
        return ""

    @property
    def can_control(self) -> bool:
        """True if keys that send commands to a run work."""
        return True

    def is_useless(self, key: Key) -> bool:  # noqa: ARG002 - for the screen of a run
        """Return True if all that a key does is to report why the run lacks what it needs."""
        return False

    def label(self, key: Key) -> str:
        """Return the word for a key, which may depend on the state."""
        return key.label

    def target(self, scope: Scope) -> DOMNode:  # noqa: ARG002 - for screens with views
        """Return the node that has the actions of a scope."""
        return self

    def can_draw(self, *, is_reply: bool = False) -> bool:
        """Return True if drawing is useful now and within the byte budget.

        Args:
            is_reply: True if it shows the effect of a key, which the budget does not limit.
        """
        return bool(self.app.can_draw(is_reply=is_reply))  # type: ignore[attr-defined]

    def show_status(self, status: RunStatus | None) -> None:
        """Show the status of a run in the terminal's title; None if no run is open."""
        self.app.show_status(status)  # type: ignore[attr-defined]

    def notify_desktop(self, text: str) -> None:
        """Show a notification beside the terminal, if it can."""
        self.app.notify_desktop(text)  # type: ignore[attr-defined]

    def report(self, message: str, seconds: float = MESSAGE_SECONDS) -> None:
        """Show a message in place of the keys for some seconds."""
        self.key_bar.report(message, seconds)

    async def ask(self, dialog: Screen[Result]) -> Result | None:
        """Open a dialog and return its result; None if this screen is not on top.

        Call it in a worker. Of two keys in quick succession, both of whose workers start before the
        first dialog is open, only the first opens one.
        """
        if self.app.screen is not self:
            return None
        return await self.app.push_screen_wait(dialog)

    def open(self, screen: Screen[None]) -> None:
        """Open a screen on this one, unless another is open: a key may be pressed twice."""
        if self.app.screen is self:
            self.app.push_screen(screen)

    def close(self) -> None:
        """Go back to the screen below, or exit, also if a dialog is open on this screen."""
        stack = self.app.screen_stack
        if self not in stack:
            return
        position = stack.index(self)
        if position <= 1:
            self.app.exit()
            return
        for _ in stack[position:]:
            self.app.pop_screen()

    def copy(self, text: str) -> None:
        """Copy a text to the clipboard of the terminal, and report it; an empty one is ignored."""
        if text:
            self.app.copy_to_clipboard(text)
            self.report(f"Copied: {text}")

    def copy_selection(self) -> bool:
        """Copy the text selected with the mouse, and unselect it; return False without any."""
        text = self.get_selected_text()
        if text:
            self.copy(text)
        self.clear_selection()
        return bool(text)

    @property
    def is_open(self) -> bool:
        """True until the screen or the app is closed, perhaps while a thread reads for it."""
        return self.app.is_running and self in self.app.screen_stack

    @property
    def is_first(self) -> bool:
        """True if closing this screen ends the program."""
        return self.app.screen_stack.index(self) <= 1

    def action_back(self) -> None:
        """Close the screen; the first one stays open, so that the program ends only by `quit`."""
        if self.is_first:
            ids = (f"{scope}.{name}" for scope in self.scopes for name in ("quit", "close"))
            self.report(f"Press {shown_key(self.app, *ids)} to quit")
        else:
            self.close()

    def action_close(self) -> None:
        """Go back to the screen below, or exit."""
        self.close()

    def action_help(self) -> None:
        """Show all keys."""
        self.open(HelpScreen(*self.scopes))
