"""The last lines of a screen: its keys, or a message."""

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

from textual import events
from textual.actions import parse
from textual.content import Content
from textual.reactive import reactive
from textual.timer import Timer

from cnn_tui.dashboard.keys import HasKeys, Key, keymap_of, keys_for
from cnn_tui.dashboard.widgets.panel import Panel
from cnn_tui.text.safe import safe_text
from cnn_tui.text.width import wrap

MAX_GAP = 2
"""Cells between two keys; fewer if they would not fit otherwise."""

MIN_HEIGHT_OF_TWO_LINES = 16
"""Rows of a screen from which on its keys may take two lines."""

MESSAGE_SECONDS = 5.0
"""Time for which a reported message is shown."""

SENT_SECONDS = 2.0
"""Time for which a message is shown that a command was sent."""


class KeyBar(Panel[bool]):
    """Keys on one line, or on two if they do not fit; a click runs a key's action.

    On two lines, the second begins with the keys of the views. Keys that still do not fit are left
    out by rank, but help and quit lose their words if all views then fit. The data is True if the
    run can be controlled, so that its control keys work.
    """

    ALLOW_SELECT = False  # a click does something

    DEFAULT_CSS = """
    KeyBar {
        height: auto;
        border: none;
    }
    """

    message: reactive[str] = reactive("", repaint=False)
    """The message in place of the keys, if any."""

    def __init__(self) -> None:
        super().__init__()
        self._timer: Timer | None = None
        """Timer that removes a reported message."""
        self._ends: list[list[tuple[int, Key]]] = []
        """The keys of each line, from left to right, each with the column behind it."""

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

    def report(self, message: str, seconds: float = MESSAGE_SECONDS) -> None:
        """Show a message for some seconds."""
        self.show_message(message)
        self._timer = self.set_timer(seconds, lambda: self.show_message(""))

    def depends_on(self, can_control: bool) -> object:
        """Return the data itself."""
        return can_control

    def draw(self, can_control: bool, width: int, height: int) -> list[Content]:  # noqa: ARG002
        """Return the lines with the keys, or the message in as many lines."""
        keys = [
            key
            for key in keys_for(*self._key_screen.scopes, keymap=keymap_of(self.app))
            if key.rank and (can_control or not key.controls)
        ]
        lines = [self._fit(line, width) for line in self._split(keys, width)]
        if self.message:
            return self._message_lines(width, len(lines))
        self._ends = []
        return [self._line(line, gap) for line, gap in lines]

    def _message_lines(self, width: int, count: int) -> list[Content]:
        """Return the message in a number of lines; the last one may be too long."""
        first, *others = wrap(safe_text(self.message, 400), width) or [""]
        if count == 1:
            first = " ".join([first, *others])
        texts = [first, " ".join(others), *[""] * count][:count]
        return [Content.styled(text, "bold") for text in texts]

    def _split(self, keys: Sequence[Key], width: int) -> list[Sequence[Key]]:
        """Return the keys of one line, or of two if they do not fit into one."""
        is_low = self.screen.size.height < MIN_HEIGHT_OF_TWO_LINES
        if is_low or self._width(keys, MAX_GAP) <= width:
            return [keys]
        views = [index for index, key in enumerate(keys) if key.view]
        fitting = [end for end in range(1, len(keys)) if self._width(keys[:end], MAX_GAP) <= width]
        middle = views[0] if views else max(fitting, default=0)
        return [keys[:middle], keys[middle:]]

    def _fit(self, keys: Sequence[Key], width: int) -> tuple[Sequence[Key], int]:
        """Return the keys that fit into a line, and the gap between them."""
        without_words = [replace(key, label="") if key.rank == 1 else key for key in keys]
        with_words, kept = self._kept(keys, width), self._kept(without_words, width)
        if _views(with_words) == _views(keys) or _views(kept) < _views(keys):
            kept = with_words
        gap = MAX_GAP if self._width(kept, MAX_GAP) <= width else 1
        return kept, gap

    def _kept(self, keys: Sequence[Key], width: int) -> Sequence[Key]:
        """Return the keys without the useless and those of the highest ranks, until they fit."""
        kept = list(keys)
        while self._width(kept, 1) > width and len(kept) > 1:
            kept.remove(max(reversed(kept), key=self._order_of_removal))
        return kept

    def _order_of_removal(self, key: Key) -> tuple[bool, int]:
        return self._key_screen.is_useless(key), key.rank

    def _width(self, keys: Sequence[Key], gap: int) -> int:
        return sum(len(self._text(key)) for key in keys) + gap * (len(keys) - 1)

    def _text(self, key: Key) -> str:
        return f"{key.shown} {self._key_screen.label(key)}".rstrip()

    def _line(self, keys: Sequence[Key], gap: int) -> Content:
        ends, x = list[tuple[int, Key]](), 0
        for key in keys:
            x += len(self._text(key)) + gap
            ends.append((x, key))
        self._ends.append(ends)
        return Content(" " * gap).join(map(self._styled, keys))

    def _styled(self, key: Key) -> Content:
        if not self._is_enabled(key):
            return Content.styled(self._text(key), "$faint")
        is_current = key.view and key.view == self._key_screen.shown_view
        label_style = "bold underline" if is_current else "$muted"
        label = self._text(key).removeprefix(key.shown)
        return Content.assemble((key.shown, "bold $primary"), (label, label_style))

    def _is_enabled(self, key: Key) -> bool:
        if self._key_screen.is_useless(key):
            return False
        namespace, name, parameters = parse(key.action)
        target = self.app if namespace else self._key_screen.target(key.scope)
        return bool(target.check_action(name, parameters))

    async def on_click(self, event: events.Click) -> None:
        """Run the action of the key under the mouse."""
        offset = event.get_content_offset(self)
        if offset is None or self.message or offset.y >= len(self._ends):
            return
        for end, key in self._ends[offset.y]:
            if offset.x < end:
                await self.app.run_action(key.action, self._key_screen.target(key.scope))
                return


def _views(keys: Sequence[Key]) -> int:
    """Return the number of keys that open a view."""
    return sum(bool(key.view) for key in keys)
