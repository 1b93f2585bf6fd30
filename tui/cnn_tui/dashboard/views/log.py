"""View 5: the log."""

from collections.abc import Iterable

from textual import getters, on
from textual.app import ComposeResult
from textual.widgets import Input

from cnn_engine.runlog.state import RunState
from cnn_tui.dashboard.keys import bindings_for
from cnn_tui.dashboard.views.view import View
from cnn_tui.dashboard.widgets.log_panel import LogPanel
from cnn_tui.text.log_lines import LogLine


class LogView(View):
    """The log, and a line for the search text."""

    BINDINGS = bindings_for("log")
    log_panel = getters.query_one(LogPanel)
    input = getters.query_one(Input)

    DEFAULT_CSS = """
    LogView Input {
        display: none;
        &.-open { display: block; }
    }
    """

    def compose(self) -> ComposeResult:
        """Yield the log, and the search line below it."""
        yield LogPanel()
        search = Input(placeholder="search the log", compact=True, disabled=True)
        search.cursor_blink = False  # a blinking cursor never stops writing to the terminal
        yield search

    def add(self, lines: Iterable[LogLine]) -> None:
        """Append lines, to be shown by the next `show`."""
        self.log_panel.add(lines)

    def show(self, state: RunState) -> None:
        """Show the lines."""
        self.log_panel.show(state)

    def back(self) -> bool:
        """Close the search; return False if it is not open."""
        was_open = self.input.has_class("-open")
        self._close()
        return was_open

    def action_search(self) -> None:
        """Open the search line."""
        self.input.disabled = False
        self.input.add_class("-open")
        self.input.focus()

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        self.log_panel.search(event.value)
        self._close()

    def _close(self) -> None:
        self.input.remove_class("-open")
        self.input.disabled = True
        self.focus()

    def action_find(self, step: int) -> None:
        """Go to the next match, or the previous one."""
        self.log_panel.find(step)

    def action_scroll(self, lines: int) -> None:
        """Scroll by lines."""
        self.log_panel.scroll_relative(y=lines, animate=False)

    def action_page(self, pages: int) -> None:
        """Scroll by pages."""
        self.log_panel.scroll_relative(y=pages * self.log_panel.size.height, animate=False)

    def action_follow(self) -> None:
        """Go to the newest line, and follow it."""
        self.log_panel.scroll_end(animate=False)
