"""The last line of a screen: its most important keys, or a message."""

from typing import cast

from textual import events
from textual.actions import parse
from textual.content import Content
from textual.reactive import reactive
from textual.timer import Timer

from cnn_tui.dashboard.keys import HasKeys, Key, keys_for
from cnn_tui.dashboard.widgets.panel import Panel
from cnn_tui.text.safe import safe_text

GAP = "  "

MESSAGE_SECONDS = 5.0
"""Time for which a reported message is shown."""


class KeyBar(Panel[bool]):
    """Keys on one line, some left out by rank if it is too narrow; a click runs a key's action.

    Its data is True if the run can be controlled, so that its control keys work.
    """

    DEFAULT_CSS = """
    KeyBar {
        height: 1;
        border: none;
    }
    """

    message: reactive[str] = reactive("", repaint=False)
    """The message in place of the keys, if any."""

    def __init__(self) -> None:
        super().__init__()
        self._timer: Timer | None = None
        """Timer that removes a reported message."""
        self._ends: list[tuple[int, Key]] = []
        """The column after each key, from left to right."""

    @property
    def _key_screen(self) -> HasKeys:
        """The screen, which has the scopes and targets of its keys."""
        return cast("HasKeys", self.screen)

    def on_mount(self) -> None:
        """Show all keys until the screen calls `show`, and redraw when bindings change."""
        self.screen.bindings_updated_signal.subscribe(self, lambda _: self._redraw())
        self.show(True)

    def watch_message(self) -> None:
        """Draw the message, or the keys again."""
        self._redraw()

    def show_message(self, message: str) -> None:
        """Show a message until the next one; an empty one shows the keys again."""
        if self._timer is not None:
            self._timer.stop()  # the timer of the previous message
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
            key
            for key in keys_for(*self._key_screen.scopes)
            if key.rank and (can_control or not key.controls)
        ]
        while len(GAP.join(map(_text, keys))) > width and len(keys) > 1:
            keys.remove(max(reversed(keys), key=lambda key: key.rank))
        self._ends = []
        x = 0
        for key in keys:
            x += len(_text(key) + GAP)
            self._ends.append((x, key))
        return [Content(GAP).join(map(self._styled, keys))]

    def _styled(self, key: Key) -> Content:
        if not self._is_enabled(key):
            return Content.styled(_text(key), "$faint")
        is_current = key.view and key.view == self._key_screen.shown_view
        label_style = "bold underline" if is_current else "$muted"
        return Content.assemble((f"{key.shown} ", "bold $primary"), (key.label, label_style))

    def _is_enabled(self, key: Key) -> bool:
        namespace, name, parameters = parse(key.action)
        target = self.app if namespace else self._key_screen.target(key.scope)
        return bool(target.check_action(name, parameters))

    async def on_click(self, event: events.Click) -> None:
        """Run the action of the key under the mouse."""
        offset = event.get_content_offset(self)
        if offset is None or self.message:
            return
        for end, key in self._ends:
            if offset.x < end:
                await self.app.run_action(key.action, self._key_screen.target(key.scope))
                return


def _text(key: Key) -> str:
    return f"{key.shown} {key.label}"
