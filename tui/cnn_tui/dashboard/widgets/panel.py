"""What all parts of a screen have in common."""

from collections.abc import Callable, Sequence
from typing import overload

from rich.segment import Segment
from textual.content import Content
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.style import Style

from cnn_engine.runlog.state import RunState
from cnn_tui.charts.blocks import bar
from cnn_tui.dashboard.keys import bindings_for

MAX_STYLES = 500
"""Styles kept for later: a panel has a dozen, but pictures have one for each pair of colours."""


class LazyLines(Sequence[Content]):
    """Lines that are made when they are looked at: of ten thousand, those in view."""

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


class Lines(ScrollView, can_focus=False, inherit_bindings=False):
    """Lines that are repainted only where they changed.

    Textual repaints a widget's whole region when it is updated, which takes it time.
    """

    BINDINGS = bindings_for("panel")
    DEFAULT_CSS = """
    Lines {
        text-wrap: nowrap;
        text-overflow: ellipsis;
        overflow: hidden hidden;
    }
    """

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name for it
        super().__init__(id=id)
        self._titles = ("", "")
        self._lines: Sequence[Content] = []
        self._painted: dict[int, Content] = {}
        self._styles: dict[str, Style] = {}

    def make(self, width: int, height: int) -> Sequence[Content] | None:
        """The lines to show, for this many cells across; `height` is what fits unscrolled.

        None while there is nothing to know yet.
        """
        raise NotImplementedError

    def retitle(self, title: str, subtitle: str = "") -> None:
        """Name the panel; the names are shown as they are, and repainted only if they changed."""
        if (title, subtitle) != self._titles:
            self._titles = title, subtitle
            self.border_title, self.border_subtitle = Content(title), Content(subtitle)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:  # noqa: ARG002
        """How many lines there are in that width, where the panel is as high as its lines."""
        if self.styles.scrollbar_gutter == "stable":
            width -= self.styles.scrollbar_size_vertical
        return len(self.make(width, 0) or [])

    def on_resize(self) -> None:
        """Draw for the new size, in which old lines may have been painted already."""
        self._painted.clear()
        self.redraw()
        self.refresh()

    def notify_style_update(self) -> None:
        """Draw in the new theme's colours."""
        super().notify_style_update()
        self._painted.clear()
        self._styles.clear()
        self.redraw()
        self.refresh()

    def redraw(self) -> None:
        """Draw again, and repaint the lines in view that changed."""
        width, height = self.scrollable_content_region.size
        made = self.make(width, height) if width else None
        if made is None:
            return
        count, self._lines = len(self._lines), made
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

    def render_line(self, y: int) -> Strip:
        """One line of what is scrolled into view."""
        width, y = self.scrollable_content_region.width, y + self.scroll_offset.y
        base = self.visual_style
        line = self._lines[y] if y < len(self._lines) else Content("")
        self._painted[y] = line
        shown = line.truncate(width, ellipsis=True) if line.cell_length > width else line
        parts = shown.render(base, end="", parse_style=self._parse_style)
        strip = Strip(Segment(text, style.rich_style) for text, style in parts)
        return strip.adjust_cell_length(width, base.rich_style)

    def _parse_style(self, style: str | Style) -> Style:
        if isinstance(style, Style):
            return style
        if style not in self._styles:
            if len(self._styles) >= MAX_STYLES:
                self._styles.clear()
            self._styles[style] = Style.parse(style)
        return self._styles[style]


class Panel(Lines):
    """Lines made from a run's state."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name for it
        super().__init__(id=id)
        self._state: RunState | None = None
        self._seen: object = None

    def draw(self, state: RunState, width: int, height: int) -> Sequence[Content]:
        """The lines to show, for this many cells across; `height` is what fits unscrolled."""
        raise NotImplementedError

    def depends_on(self, state: RunState) -> object:  # noqa: ARG002
        """What of the state is shown here, as a value that changes with it; None: draw always."""
        return None

    def show(self, state: RunState) -> None:
        """Show the run's state."""
        seen = self.depends_on(state)
        if state is self._state and seen is not None and seen == self._seen:
            return
        self._state, self._seen = state, seen
        self.redraw()

    def make(self, width: int, height: int) -> Sequence[Content] | None:
        """The lines of the state that was shown last."""
        return None if self._state is None else self.draw(self._state, width, height)


def colored_bar(share: float, width: int) -> Content:
    """A thin bar, coloured as far as it is full."""
    done, rest = bar(share, width)
    return Content.assemble((done, "$primary"), (rest, "$faint"))


def justify(left: Content, right: Content, width: int) -> Content:
    """One line with something at either end; the left gives way where both do not fit."""
    room = width - right.cell_length
    if room <= 0:
        return left.truncate(width, ellipsis=True)
    return left.truncate(room, ellipsis=True, pad=True) + right
