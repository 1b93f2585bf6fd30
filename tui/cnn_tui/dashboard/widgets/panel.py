"""The base of all panels: styled lines, repainted only where they changed.

A new panel is one file and one line: a subclass of `Panel` in `widgets`, and a `yield` in the
`compose` of the view or screen that shows it. `Panel` draws the frame and scrolls; the file
`app.tcss` needs a rule only for a size other than Textual's default.
"""

from collections.abc import Callable, Sequence
from typing import ClassVar, Generic, TypeVar, overload

from rich.segment import Segment
from textual.content import Content
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.selection import Selection
from textual.strip import Strip
from textual.style import Style

from cnn_tui.charts.blocks import bar
from cnn_tui.dashboard.keys import bindings_for

Data = TypeVar("Data")

MAX_STYLES = 500
"""Limit of the style cache: panels have few styles, but pictures have one per colour pair."""


class LazyLines(Sequence[Content]):
    """Lines that are created on access, so that no others than those in view are created."""

    def __init__(self, count: int, make: Callable[[int], Content]) -> None:
        self._count, self._make = count, make

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> Content: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Content]: ...
    def __getitem__(self, index: int | slice) -> Content | Sequence[Content]:
        if isinstance(index, slice):
            return [self._make(number) for number in range(*index.indices(self._count))]
        return self._make(index)


class Panel(ScrollView, Generic[Data], can_focus=False, inherit_bindings=False):
    """Lines drawn from data: `show` takes the data, `draw` turns it into lines.

    Textual repaints the whole region of an updated widget, which is slow; a panel repaints the
    lines that changed. With `can_focus=True` it scrolls.
    """

    BINDINGS = bindings_for("panel")
    TITLE: ClassVar[str] = ""

    DEFAULT_CSS = """
    Panel {
        text-wrap: nowrap;
        text-overflow: ellipsis;
        overflow: hidden hidden;
        border: round $border;
        border-title-color: $muted;
        border-subtitle-color: $muted;
        padding: 0 1;
        &:can-focus {
            /* The scrollbar replaces the padding, so that the content does not move. */
            padding: 0 0 0 1;
            overflow-y: auto;
            scrollbar-size: 0 1;
            scrollbar-gutter: stable;
        }
        &:focus {
            border: round $primary;
        }
    }
    """

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name for it
        super().__init__(id=id)
        self._data: Data | None = None
        self._dependencies: object = None
        self._titles: tuple[str, str] | None = None
        self._lines: Sequence[Content] = []
        self._painted: dict[int, Content] = {}
        self._styles: dict[str, Style] = {}

    def draw(self, data: Data, width: int, height: int) -> Sequence[Content]:
        """Return the lines for `width` cells; `height` lines fit without scrolling."""
        raise NotImplementedError

    def titles(self, data: Data) -> tuple[str, str]:  # noqa: ARG002
        """Return the title and the subtitle of the frame."""
        return self.TITLE, ""

    def depends_on(self, data: Data) -> object:  # noqa: ARG002
        """Return a value that changes if the drawing has to; None to draw every time."""
        return None

    def show(self, data: Data) -> None:
        """Draw the data, unless the value of `depends_on` is the same as before."""
        dependencies = self.depends_on(data)
        is_same = dependencies is not None and dependencies == self._dependencies
        if is_same and data is self._data:
            return
        self._data, self._dependencies = data, dependencies
        self._redraw()

    def on_mount(self) -> None:
        """Set the title, which the frame has until there is data."""
        self._set_titles((self.TITLE, ""))

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:  # noqa: ARG002
        """Return the number of lines, for a panel with `height: auto`."""
        if self._data is None:
            return 0
        if self.styles.scrollbar_gutter == "stable":
            width -= self.styles.scrollbar_size_vertical
        return len(self.draw(self._data, width, 0))

    def on_resize(self) -> None:
        """Draw for the new size."""
        self._painted.clear()  # Textual may have painted old lines at the new size already
        self._redraw()
        self.refresh()

    def notify_style_update(self) -> None:
        """Draw in the new theme's colours."""
        super().notify_style_update()
        self._painted.clear()
        self._styles.clear()
        self._redraw()
        self.refresh()

    def _redraw(self) -> None:
        """Draw the data again, and repaint the lines in view that changed."""
        width, height = self.scrollable_content_region.size
        if self._data is None or not width:
            return
        self._set_titles(self.titles(self._data))
        count, self._lines = len(self._lines), self.draw(self._data, width, height)
        if count != len(self._lines):
            self._painted.clear()
            self.virtual_size = Size(width, len(self._lines))
            self.refresh(layout=self.styles.height is not None and self.styles.height.is_auto)
            return
        top = self.scroll_offset.y
        self._painted = {y: line for y, line in self._painted.items() if top <= y < top + height}
        for y, line in self._painted.items():
            if y < count and not self._lines[y].is_same(line):
                self.refresh_line(y)

    def _set_titles(self, titles: tuple[str, str]) -> None:
        """Set title and subtitle as plain text, only if they changed, because it repaints."""
        if titles != self._titles:
            self._titles = titles
            self.border_title, self.border_subtitle = map(Content, titles)

    def render_line(self, y: int) -> Strip:
        """Return one line in view, as Textual paints it."""
        width, y = self.scrollable_content_region.width, y + self.scroll_offset.y
        base = self.visual_style
        line = self._lines[y] if y < len(self._lines) else Content("")
        self._painted[y] = line
        shown = line.truncate(width, ellipsis=True) if line.cell_length > width else line
        if (span := self._selected_span(y)) is not None:
            shown = shown.stylize("reverse", *span)
        parts = shown.render(base, end="", parse_style=self._parse_style)
        strip = Strip(Segment(text, style.rich_style) for text, style in parts)
        return strip.adjust_cell_length(width, base.rich_style).apply_offsets(0, y)

    def _selected_span(self, y: int) -> tuple[int, int] | None:
        """Return the start and the end of the text selected with the mouse in a line."""
        selection = self.text_selection
        span = selection.get_span(y) if selection else None
        if span is None or y >= len(self._lines):
            return None
        length = len(self._lines[y].plain)
        return span[0], length if span[1] < 0 else min(span[1], length)

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:  # noqa: ARG002 - the current one
        """Return the selected text, and what separates it from that of the next widget."""
        spans = [(y, self._selected_span(y)) for y in range(len(self._lines))]
        texts = [self._lines[y].plain[span[0] : span[1]] for y, span in spans if span]
        return "\n".join(text.rstrip() for text in texts), "\n"

    def _parse_style(self, style: str | Style) -> Style:
        if isinstance(style, Style):
            return style
        if style not in self._styles:
            if len(self._styles) >= MAX_STYLES:
                self._styles.clear()
            self._styles[style] = Style.parse(style)
        return self._styles[style]


def colored_bar(fraction: float, width: int) -> Content:
    """Return a thin bar, coloured up to the fraction."""
    done, rest = bar(fraction, width)
    return Content.assemble((done, "$primary"), (rest, "$faint"))


def labeled_bar(label: str, fraction: float, width: int, min_bar: int) -> Content:
    """Return a label with a bar in the rest of the width; no bar if it would be too short."""
    text = Content(label)
    room = width - text.cell_length
    return text + colored_bar(fraction, room if room >= min_bar else 0)


def justify(left: Content, right: Content, width: int) -> Content:
    """Return one line with texts at both ends; the left one is cut if they do not fit."""
    room = width - right.cell_length
    if room <= 0:
        return left.truncate(width, ellipsis=True)
    return left.truncate(room, ellipsis=True, pad=True) + right
