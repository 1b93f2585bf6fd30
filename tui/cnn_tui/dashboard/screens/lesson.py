"""The lesson, a page at a time."""

from textual import on
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Static

from cnn_engine.runs.directory import RunDirectory
from cnn_tui.dashboard.dialogs.help import HelpScreen
from cnn_tui.dashboard.keys import bindings_for
from cnn_tui.dashboard.widgets.key_bar import KeyBar
from cnn_tui.dashboard.widgets.panel import justify
from cnn_tui.lesson.contents import all_chapters
from cnn_tui.lesson.pages import Canvas

MARGIN = 2
"""Cells left and right of a page."""


class LessonScreen(Screen[None]):
    """Chapters of pages; nothing moves by itself."""

    BINDINGS = bindings_for("lesson")
    AUTO_FOCUS = ""

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

    def __init__(self, run: RunDirectory | None) -> None:
        """Begin at the first page.

        Args:
            run: Whose filter and image the last chapter is about; None where there is none.
        """
        super().__init__()
        self._chapters = all_chapters(run)
        self._turns = [
            (chapter, page)
            for chapter, content in enumerate(self._chapters)
            for page in range(len(content.pages))
        ]
        self._turn = 0

    def compose(self) -> ComposeResult:
        """A title, the page, the keys."""
        yield Static(id="title")
        with VerticalScroll(can_focus=False):
            yield Static(id="page")
        yield KeyBar("lesson")

    def on_resize(self) -> None:
        """Draw the page for the new size."""
        self._draw()

    def _draw(self) -> None:
        chapter, page = self._turns[self._turn]
        content = self._chapters[chapter]
        width = self.size.width
        where = f"{chapter + 1}/{len(self._chapters)}  page {page + 1} of {len(content.pages)}"
        title = Content.assemble((f"{chapter + 1}  {content.title}", "bold"))
        heading = justify(title, Content.styled(where, "$muted"), max(1, width - 2))
        self.query_one("#title", Static).update(heading)
        canvas = Canvas(max(20, width - 2 * MARGIN - 1), self.app.can_draw_images)  # type: ignore[attr-defined]
        lines = content.pages[page].lines(canvas)
        self.query_one("#page", Static).update(Content("\n").join(lines))

    def _go_to(self, turn: int) -> None:
        self._turn = min(max(0, turn), len(self._turns) - 1)
        self.query_one(VerticalScroll).scroll_home(animate=False)
        self._draw()

    def action_turn(self, pages: int) -> None:
        """Turn the page."""
        self._go_to(self._turn + pages)

    def action_go(self, chapter: int) -> None:
        """Go to a chapter, counted from 1."""
        self._go_to(self._turns.index((chapter - 1, 0)))

    def action_scroll(self, lines: int) -> None:
        """Scroll a page that is longer than the screen."""
        self.query_one(VerticalScroll).scroll_relative(y=lines, animate=False)

    def action_help(self) -> None:
        """Show what the keys do."""
        self.app.push_screen(HelpScreen("lesson"))

    def action_leave(self) -> None:
        """Go back to where it was opened from."""
        if len(self.app.screen_stack) > 2:
            self.app.pop_screen()
        else:
            self.app.exit()

    @on(KeyBar.Clicked)
    async def _clicked(self, event: KeyBar.Clicked) -> None:
        await self.run_action(event.key.action)
