"""5: what happened, in words."""

from collections.abc import Iterable

from textual import on
from textual.app import ComposeResult
from textual.widgets import Input

from cnn_engine.runlog.state import RunState
from cnn_tui.dashboard.keys import bindings_for
from cnn_tui.dashboard.views.view import View
from cnn_tui.dashboard.widgets.log_panel import LogPanel
from cnn_tui.text.log_lines import LogLine


class LogView(View):
    """The log, and a line to type what is searched for."""

    BINDINGS = bindings_for("log")

    DEFAULT_CSS = """
    LogView Input {
        display: none;
        &.-open { display: block; }
    }
    """

    def compose(self) -> ComposeResult:
        """The log above the line."""
        yield LogPanel()
        search = Input(placeholder="search the log", compact=True, disabled=True)
        search.cursor_blink = False  # a blinking cursor never stops writing to the terminal
        yield search

    @property
    def _panel(self) -> LogPanel:
        return self.query_one(LogPanel)

    def add(self, lines: Iterable[LogLine]) -> None:
        """Take in new lines."""
        self._panel.add(lines)

    def show(self, state: RunState) -> None:
        """Show what was added."""
        self._panel.show(state)

    def back(self) -> bool:
        """Close the search."""
        was_open = self.query_one(Input).has_class("-open")
        self._close()
        return was_open

    def action_search(self) -> None:
        """Ask what to search for."""
        search = self.query_one(Input)
        search.disabled = False
        search.add_class("-open")
        search.focus()

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        self._panel.search(event.value)
        self._close()

    def _close(self) -> None:
        search = self.query_one(Input)
        search.remove_class("-open")
        search.disabled = True
        self.focus()

    def action_find(self, by: int) -> None:
        """Go to the next line found, or the one before."""
        self._panel.find(by)

    def action_scroll(self, lines: int) -> None:
        """Scroll."""
        self._panel.scroll_relative(y=lines, animate=False)

    def action_page(self, pages: int) -> None:
        """Scroll by pages."""
        self._panel.scroll_relative(y=pages * self._panel.size.height, animate=False)

    def action_follow(self) -> None:
        """Go to the newest line, and stay there."""
        self._panel.scroll_end(animate=False)
