"""The last line of a screen: its most important keys, or a message."""

from dataclasses import dataclass

from textual import events
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.timer import Timer

from cnn_tui.dashboard.keys import Key, Scope, keys_for
from cnn_tui.dashboard.widgets.panel import Panel
from cnn_tui.text.safe import safe_text

GAP = "  "

MESSAGE_SECONDS = 5.0
"""Time after which the keys take the place of a reported message again."""


class KeyBar(Panel[bool]):
    """Keys on one line, the lowest ranks dropped if it is too narrow; a click presses a key.

    Its data is True if the run can be controlled, so that its control keys work.
    """

    DEFAULT_CSS = """
    KeyBar {
        height: 1;
        border: none;
    }
    """

    @dataclass
    class Clicked(Message):
        """A key was clicked."""

        key: Key

    scopes: reactive[tuple[Scope, ...]] = reactive((), repaint=False)
    """The scopes whose keys are shown."""

    view: reactive[str] = reactive("", repaint=False)
    """The current view; its key is underlined."""

    message: reactive[str] = reactive("", repaint=False)
    """The message in place of the keys, if any."""

    def __init__(self, *scopes: Scope, view: str = "") -> None:
        super().__init__()
        self.set_reactive(KeyBar.scopes, scopes)
        self.set_reactive(KeyBar.view, view)
        self._timer: Timer | None = None
        """Removes a reported message."""
        self._ends: list[tuple[int, Key]] = []
        """The column after each key, from left to right."""

    def on_mount(self) -> None:
        """Show all keys until the screen knows better."""
        self.show(True)

    def watch_scopes(self) -> None:
        """Draw the keys of the new scopes."""
        self._redraw()

    def watch_view(self) -> None:
        """Underline the key of the new view."""
        self._redraw()

    def watch_message(self) -> None:
        """Draw the message, or the keys again."""
        self._redraw()

    def show_message(self, message: str) -> None:
        """Show a message until the next one; an empty one shows the keys again."""
        if self._timer is not None:
            self._timer.stop()  # it belongs to the previous message
        self.message, self._timer = message, None

    def report(self, message: str) -> None:
        """Show a message for `MESSAGE_SECONDS`."""
        self.show_message(message)
        self._timer = self.set_timer(MESSAGE_SECONDS, lambda: self.show_message(""))

    def depends_on(self, can_control: bool) -> object:
        """Return the data itself."""
        return can_control

    def draw(self, can_control: bool, width: int, height: int) -> list[Content]:  # noqa: ARG002
        """Return one line."""
        if self.message:
            return [Content.styled(safe_text(self.message, 400), "bold")]
        keys = [
            key for key in keys_for(*self.scopes) if key.rank and (can_control or not key.controls)
        ]
        while len(GAP.join(map(_text, keys))) > width and len(keys) > 1:
            keys.remove(max(reversed(keys), key=lambda key: key.rank))
        self._ends = []
        x, parts = 0, list[Content]()
        for key in keys:
            x += len(_text(key) + GAP)
            self._ends.append((x, key))
            is_current = bool(key.opens) and key.opens == self.view
            parts.append(
                Content.assemble(
                    (f"{key.shown} ", "bold $primary"),
                    (key.label, "bold underline" if is_current else "$muted"),
                )
            )
        return [Content(GAP).join(parts)]

    def on_click(self, event: events.Click) -> None:
        """Press the key under the mouse."""
        offset = event.get_content_offset(self)
        if offset is None or self.message:
            return
        for end, key in self._ends:
            if offset.x < end:
                self.post_message(self.Clicked(key))
                return


def _text(key: Key) -> str:
    return f"{key.shown} {key.label}"
