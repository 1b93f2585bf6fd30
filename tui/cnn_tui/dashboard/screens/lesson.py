"""The lesson, a page at a time."""

from collections.abc import Sequence

from textual import getters
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.reactive import reactive
from textual.widgets import Static

from cnn_tui.dashboard.keys import Scope, bindings_for
from cnn_tui.dashboard.screens.screen import DashboardScreen
from cnn_tui.dashboard.widgets.key_bar import KeyBar
from cnn_tui.dashboard.widgets.panel import justify
from cnn_tui.lesson.pages import Canvas, Chapter

MARGIN = 2
"""Cells left and right of a page."""


class LessonScreen(DashboardScreen):
    """Pages of all chapters, turned by keys."""

    BINDINGS = bindings_for("lesson")

    DEFAULT_CSS = """
    LessonScreen {
        #title {
            height: 1;
            padding: 0 1;
            background: $panel;
        }
        VerticalScroll {
            height: 1fr;
            padding: 1 2 0 2;
            scrollbar-size: 0 1;
        }
        #page {
            height: auto;
            text-wrap: nowrap;
        }
    }
    """

    scopes: tuple[Scope, ...] = ("lesson",)

    page_index: reactive[int] = reactive(0, repaint=False, init=False, always_update=True)
    """Index of the shown page among the pages of all chapters."""

    title_line = getters.query_one("#title", Static)
    page = getters.query_one("#page", Static)
    scroll = getters.query_one(VerticalScroll)

    def __init__(self, chapters: Sequence[Chapter]) -> None:
        """Start at the first page of the chapters."""
        super().__init__()
        self._chapters = chapters
        self._pages = [
            (chapter, page)
            for chapter, content in enumerate(self._chapters)
            for page in range(len(content.pages))
        ]

    def compose(self) -> ComposeResult:
        """Yield the title, the page, the keys."""
        yield Static(id="title")
        with VerticalScroll(can_focus=False):
            yield Static(id="page")
        yield KeyBar()

    def on_resize(self) -> None:
        """Draw the page for the new size."""
        self._draw()

    def validate_page_index(self, index: int) -> int:
        """Return the index of the nearest page."""
        return min(max(0, index), len(self._pages) - 1)

    def watch_page_index(self) -> None:
        """Show the top of the page."""
        self.scroll.scroll_home(animate=False)
        self._draw()

    def _draw(self) -> None:
        chapter, page = self._pages[self.page_index]
        content = self._chapters[chapter]
        width = self.size.width
        position = f"{chapter + 1}/{len(self._chapters)}  page {page + 1} of {len(content.pages)}"
        title = Content.assemble((f"{chapter + 1}  {content.title}", "bold"))
        heading = justify(title, Content.styled(position, "$muted"), max(1, width - 2))
        self.title_line.update(heading)
        canvas = Canvas(max(20, width - 2 * MARGIN - 1), self.app.can_draw_images)  # type: ignore[attr-defined]
        self.page.update(Content("\n").join(content.pages[page].lines(canvas)))

    def action_turn(self, pages: int) -> None:
        """Turn the page."""
        self.page_index += pages

    def action_go_to(self, chapter: int) -> None:
        """Go to a chapter, counted from 1."""
        self.page_index = self._pages.index((chapter - 1, 0))

    def action_scroll(self, lines: int) -> None:
        """Scroll a page that is longer than the screen."""
        self.scroll.scroll_relative(y=lines, animate=False)
