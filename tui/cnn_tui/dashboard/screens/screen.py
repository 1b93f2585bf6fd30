"""The base of all screens: key bar, help, messages, closing."""

from typing import TypeVar

from textual import getters
from textual.dom import DOMNode
from textual.screen import Screen

from cnn_tui.dashboard.dialogs.help import HelpScreen
from cnn_tui.dashboard.keys import Scope
from cnn_tui.dashboard.widgets.key_bar import KeyBar

Result = TypeVar("Result")

POLL_SECONDS = 1.0
"""Time between two reads of the files that other processes write."""

PIECE_SECONDS = 0.001
"""Pause between two pieces of a long log, in which the first paint and keys are handled."""


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

    def target(self, scope: Scope) -> DOMNode:  # noqa: ARG002 - for screens with views
        """Return the node that has the actions of a scope."""
        return self

    def can_draw(self, *, is_reply: bool = False) -> bool:
        """Return True if drawing is useful now and within the byte budget.

        Args:
            is_reply: True if it shows the effect of a key, which the budget does not limit.
        """
        return bool(self.app.can_draw(is_reply=is_reply))  # type: ignore[attr-defined]

    def report(self, message: str) -> None:
        """Show a message in place of the keys for some seconds."""
        self.key_bar.report(message)

    async def ask(self, dialog: Screen[Result]) -> Result | None:
        """Open a dialog and return its result; None if this screen is not on top.

        Call it in a worker. Of two keys in quick succession, both of whose workers start before the
        first dialog is open, only the first opens one.
        """
        if self.app.screen is not self:
            return None
        return await self.app.push_screen_wait(dialog)

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

    def action_close(self) -> None:
        """Go back to the screen below, or exit."""
        self.close()

    def action_help(self) -> None:
        """Show all keys."""
        self.app.push_screen(HelpScreen(*self.scopes))
