"""The keys that matter now, or the answer to the last one."""

from textual import events
from textual.content import Content
from textual.message import Message
from textual.timer import Timer

from cnn_engine.runlog.state import RunState
from cnn_tui.dashboard.keys import Key, Scope, keys_for
from cnn_tui.dashboard.widgets.panel import Panel
from cnn_tui.text.safe import safe_text

GAP = "  "

MESSAGE_SECONDS = 5.0
"""How long an answer stands in place of the keys."""


class KeyBar(Panel):
    """One line: what does not fit goes by its rank. A key is clicked to press it."""

    DEFAULT_CSS = """
    KeyBar {
        height: 1;
        padding: 0 1;
    }
    """

    class Clicked(Message):
        """A key was clicked."""

        def __init__(self, key: Key) -> None:
            super().__init__()
            self.key = key

    def __init__(self, scope: Scope = "live") -> None:
        super().__init__()
        self.scope = scope
        """The view whose keys are shown."""
        self.view: str = ""
        """The view that is shown, where that is no place of its own."""
        self.can_control = True
        """Whether there is an engine to ask."""
        self._message = ""
        self._end: Timer | None = None
        """When the message goes, if it is to go by itself."""
        self._ends: list[tuple[int, Key]] = []

    def show_message(self, message: str) -> None:
        """Show a message instead of the keys; an empty one to show the keys again."""
        if self._end is not None:
            self._end.stop()  # it is that of the message before
        self._message, self._end = message, None
        self.redraw()

    def report(self, message: str) -> None:
        """Show a message for a while."""
        self.show_message(message)
        self._end = self.set_timer(MESSAGE_SECONDS, lambda: self.show_message(""))

    def draw(self, state: RunState, width: int, height: int) -> list[Content]:  # noqa: ARG002
        """The one line."""
        if self._message:
            return [Content.styled(safe_text(self._message, 400), "bold")]
        scopes: tuple[Scope, ...] = ("run", self.scope)
        if self.scope in ("runs", "lesson", "compare"):  # screens of their own
            scopes = (self.scope,)
        keys = [
            key for key in keys_for(*scopes) if key.rank and (self.can_control or not key.controls)
        ]
        while len(GAP.join(map(_text, keys))) > width and len(keys) > 1:
            keys.remove(max(reversed(keys), key=lambda key: key.rank))
        self._ends = []
        x, parts = 0, list[Content]()
        for key in keys:
            x += len(_text(key) + GAP)
            self._ends.append((x, key))
            is_here = key.action == f"view('{self.view or self.scope}')"
            parts.append(
                Content.assemble(
                    (f"{key.shown} ", "bold $primary"),
                    (key.label, "bold underline" if is_here else "$muted"),
                )
            )
        return [Content(GAP).join(parts)]

    def on_click(self, event: events.Click) -> None:
        """Press the key under the mouse."""
        offset = event.get_content_offset(self)
        if offset is None or self._message:
            return
        for end, key in self._ends:
            if offset.x < end:
                self.post_message(self.Clicked(key))
                return


def _text(key: Key) -> str:
    return f"{key.shown} {key.label}"
