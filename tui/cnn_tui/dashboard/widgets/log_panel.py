"""The log: events and captured output, the newest last."""

from collections.abc import Iterable, Sequence

from textual.content import Content

from cnn_engine.runlog.state import RunState
from cnn_tui.dashboard.widgets.panel import LazyLines, Panel
from cnn_tui.text.log_lines import LogLine
from cnn_tui.text.numbers import clock
from cnn_tui.text.safe import safe_text

MOST_LINES = 100_000
"""Of those that are more, the oldest are forgotten."""


class LogPanel(Panel):
    """Lines that can be searched; it follows the newest while that is in view."""

    def __init__(self) -> None:
        super().__init__()
        self._entries: list[LogLine] = []
        self._sought = ""
        self._found: int | None = None
        """Place of the line found last."""
        self._follows = True

    def on_mount(self) -> None:
        """Name the panel."""
        self.border_title = "Log"

    def add(self, lines: Iterable[LogLine]) -> None:
        """Take in new lines; to be drawn with the next `show`."""
        self._entries.extend(lines)
        surplus = len(self._entries) - MOST_LINES
        if surplus > 0:
            del self._entries[:surplus]
            self._found = None

    def depends_on(self, state: RunState) -> object:  # noqa: ARG002
        """How many lines there are, and the newest."""
        return len(self._entries), self._entries[-1:] or None

    def show(self, state: RunState) -> None:
        """Show the lines; the newest, if it was in view."""
        super().show(state)
        if self._follows:
            self.scroll_end(animate=False)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Follow from where the end is in view, and no longer from elsewhere.

        Only a scroll decides: new lines and new sizes move the end, not what is looked at.
        """
        super().watch_scroll_y(old_value, new_value)
        self._follows = round(new_value) >= self.max_scroll_y

    def watch_show_vertical_scrollbar(self) -> None:
        """Go to the newest line, as nothing scrolls before the scroll bar is there."""
        if self._follows:
            self.scroll_end(animate=False)

    def on_resize(self) -> None:
        """Draw for the new size, and stay at the newest."""
        super().on_resize()
        if self._follows:
            self.scroll_end(animate=False)

    def draw(self, state: RunState, width: int, height: int) -> Sequence[Content]:  # noqa: ARG002
        """All lines."""
        return LazyLines(len(self._entries), self._line)

    def _line(self, y: int) -> Content:
        time, glyph, style, text = self._entries[y]
        found = "bold reverse" if y == self._found else ""
        words = Content.styled(text, found) if found else Content(text)
        start = text.lower().find(self._sought.lower()) if self._sought else -1
        if start >= 0 and not found:
            words = words.stylize("bold underline", start, start + len(self._sought))
        when = f"{clock(time)} " if time else " " * 9
        return Content.assemble((when, "$muted"), (f"{glyph} ", style), words)

    def search(self, sought: str) -> None:
        """Mark what is sought, and go to the last line that has it."""
        self._sought, self._found = sought, None
        self.find(-1)

    def find(self, by: int) -> None:
        """Go to the next line (1) or the one before (-1) that has what is sought."""
        sought = self._sought.lower()
        places = [
            place
            for place, line in enumerate(self._entries)
            if sought and sought in line.text.lower()
        ]
        if not sought:
            self.border_subtitle = ""
        elif not places:
            self.border_subtitle = Content(f"nothing has “{safe_text(self._sought, 40)}”")
        else:
            place = self._next(places, by)
            self._found, self._follows = places[place], False
            self.border_subtitle = f"{place + 1} of {len(places)}"
            self.scroll_to(y=max(0, self._found - self.size.height // 2), animate=False)
        self.redraw()

    def _next(self, places: list[int], by: int) -> int:
        """Which of the places comes next; around the end, it is the first."""
        if self._found is None:
            return len(places) - 1
        return (places.index(self._found) + by) % len(places)
