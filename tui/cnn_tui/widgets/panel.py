"""What all parts of the run screen have in common."""

from collections.abc import Sequence

from textual.content import Content
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.visual import Visual

from cnn_engine.state import RunState
from cnn_tui.format import bar


class Panel(ScrollView, can_focus=False):
    """Lines made from a run's state, repainted only where they changed.

    Textual repaints a widget's whole region when it is updated; over SSH that is what costs.
    """

    DEFAULT_CSS = """
    Panel {
        text-wrap: nowrap;
        text-overflow: ellipsis;
        overflow: hidden hidden;
    }
    """

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name for it
        super().__init__(id=id)
        self._state: RunState | None = None
        self._lines: list[Content] = []

    def draw(self, state: RunState, width: int, height: int) -> Sequence[Content]:
        """The lines to show, for this many cells across; `height` is what fits unscrolled."""
        raise NotImplementedError

    def show(self, state: RunState) -> None:
        """Show the run's state."""
        self._state = state
        self._redraw()

    def on_resize(self) -> None:
        """Draw for the new size."""
        self._redraw()

    def notify_style_update(self) -> None:
        """Draw in the new theme's colours."""
        super().notify_style_update()
        self._lines = []
        self._redraw()

    def _redraw(self) -> None:
        width, height = self.scrollable_content_region.size
        if self._state is None or not width:
            return
        before, self._lines = self._lines, list(self.draw(self._state, width, height))
        if len(before) != len(self._lines):
            self.virtual_size = Size(width, len(self._lines))
            self.refresh(layout=self.styles.height is not None and self.styles.height.is_auto)
            return
        for y, (old, new) in enumerate(zip(before, self._lines, strict=True)):
            if not old.is_same(new):
                self.refresh_line(y)

    def render_line(self, y: int) -> Strip:
        """One line of what is scrolled into view."""
        width, line = self.scrollable_content_region.width, y + self.scroll_offset.y
        if line >= len(self._lines):
            return Strip.blank(width, self.visual_style.rich_style)
        strips = Visual.to_strips(self, self._lines[line], width, 1, self.visual_style, pad=True)
        return strips[0] if strips else Strip.blank(width, self.visual_style.rich_style)


def colored_bar(share: float, width: int) -> Content:
    """A thin bar, coloured as far as it is full."""
    done, rest = bar(share, width)
    return Content.assemble((done, "$primary"), (rest, "$faint"))


def spread(left: Content, right: Content, width: int) -> Content:
    """One line with something at either end; the left gives way where both do not fit."""
    room = width - right.cell_length
    if room <= 0:
        return left.truncate(width, ellipsis=True)
    return left.truncate(room, ellipsis=True, pad=True) + right
