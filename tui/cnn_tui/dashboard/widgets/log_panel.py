"""The log: events and captured output, the newest last."""

from collections.abc import Iterable, Sequence

from textual.content import Content

from cnn_engine.runlog.state import RunState
from cnn_tui.dashboard.widgets.panel import LazyLines, Panel
from cnn_tui.text.log_lines import LogLine
from cnn_tui.text.numbers import clock
from cnn_tui.text.safe import safe_text

MAX_LINES = 100_000
"""Limit of the lines kept; the oldest are dropped."""


class LogPanel(Panel[RunState]):
    """Lines that can be searched; the panel follows the newest line while it is in view."""

    TITLE = "Log"

    DEFAULT_CSS = """
    LogPanel {
        padding: 0 0 0 1;
        overflow-y: auto;
        scrollbar-size: 0 1;
        scrollbar-gutter: stable;
    }
    """

    def __init__(self) -> None:
        super().__init__()
        self._entries: list[LogLine] = []
        self._query = ""
        self._found: int | None = None
        """Index of the last match."""
        self._match_text = ""
        self._follows = True

    def add(self, lines: Iterable[LogLine]) -> None:
        """Append lines, to be drawn by the next `show`."""
        self._entries.extend(lines)
        surplus = len(self._entries) - MAX_LINES
        if surplus > 0:
            del self._entries[:surplus]
            self._found = None

    def depends_on(self, state: RunState) -> object:  # noqa: ARG002
        """Return the number of lines, and the newest."""
        return len(self._entries), self._entries[-1:] or None

    def show(self, state: RunState) -> None:
        """Draw the lines, and scroll to the newest if it was in view."""
        super().show(state)
        if self._follows:
            self.scroll_end(animate=False)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Follow the newest line if the end is in view.

        Only scrolling changes this: new lines and a new size move the end, but not the view.
        """
        super().watch_scroll_y(old_value, new_value)
        self._follows = round(new_value) >= self.max_scroll_y

    def watch_show_vertical_scrollbar(self) -> None:
        """Scroll to the newest line, which is not possible before there is a scrollbar."""
        if self._follows:
            self.scroll_end(animate=False)

    def on_resize(self) -> None:
        """Draw for the new size, and stay at the newest line."""
        super().on_resize()
        if self._follows:
            self.scroll_end(animate=False)

    def titles(self, state: RunState) -> tuple[str, str]:  # noqa: ARG002
        """Return the title, and the number of the match."""
        return self.TITLE, self._match_text

    def draw(self, state: RunState, width: int, height: int) -> Sequence[Content]:  # noqa: ARG002
        """Return all lines."""
        return LazyLines(len(self._entries), self._line)

    def _line(self, y: int) -> Content:
        time, glyph, style, text = self._entries[y]
        is_found = y == self._found
        content = Content.styled(text, "bold reverse") if is_found else Content(text)
        start = text.lower().find(self._query.lower()) if self._query else -1
        if start >= 0 and not is_found:
            content = content.stylize("bold underline", start, start + len(self._query))
        time_text = f"{clock(time)} " if time else " " * 9
        return Content.assemble((time_text, "$muted"), (f"{glyph} ", style), content)

    def search(self, query: str) -> None:
        """Mark all matches, and go to the last one."""
        self._query, self._found = query, None
        self.find(-1)

    def find(self, step: int) -> None:
        """Go to the next match (1) or the previous one (-1)."""
        query = self._query.lower()
        matches = [
            index
            for index, line in enumerate(self._entries)
            if query and query in line.text.lower()
        ]
        if not query:
            self._match_text = ""
        elif not matches:
            self._match_text = f"no match for “{safe_text(self._query, 40)}”"
        else:
            match = self._next_match(matches, step)
            self._found, self._follows = matches[match], False
            self._match_text = f"{match + 1} of {len(matches)}"
            self.scroll_to(y=max(0, self._found - self.size.height // 2), animate=False)
        self._redraw()

    def _next_match(self, matches: list[int], step: int) -> int:
        """Return the number of the match to go to; the search wraps around."""
        if self._found is None:
            return len(matches) - 1
        return (matches.index(self._found) + step) % len(matches)
