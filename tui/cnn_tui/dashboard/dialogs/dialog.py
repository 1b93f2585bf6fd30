"""The base of all dialogs, and the palette: each closes once."""

from typing import Any, TypeVar

from textual.await_complete import AwaitComplete
from textual.binding import Binding
from textual.command import CommandPalette
from textual.containers import VerticalScroll
from textual.screen import ModalScreen

Result = TypeVar("Result")


SUSPEND = Binding("ctrl+z", "app.suspend_process", show=False, priority=True)
"""Suspends also while a dialog covers the screen, which has a key for it."""


class _ClosesOnce:
    """Makes a screen ignore every `dismiss` after the first.

    A second press of a key may be in the queue of the screen already; Textual would close the
    screen below.
    """

    def dismiss(self, result: Any = None) -> AwaitComplete:  # noqa: ANN401 - passed on
        """Close the screen with a result, unless it is closed already."""
        if self.app.screen is not self:  # type: ignore[attr-defined]
            return AwaitComplete()
        return super().dismiss(result)  # type: ignore[misc, no-any-return]


class Dialog(_ClosesOnce, ModalScreen[Result]):
    """A modal screen that returns a result."""

    BINDINGS = [SUSPEND]


class ScrolledBox(VerticalScroll, can_focus=False, inherit_bindings=False):
    """A box that scrolls to what has the focus; its keys are those of the dialog."""


class Palette(_ClosesOnce, CommandPalette):
    """The list of all commands."""

    BINDINGS = [SUSPEND]
