"""The line in which a filter is typed."""

from dataclasses import dataclass

from textual import getters, on
from textual.app import ComposeResult
from textual.message import Message
from textual.widgets import Input, Static

from cnn_tui.text.safe import safe_text


class FilterLine(Static):
    """An input with the error in its text below; hidden until it is opened."""

    DEFAULT_CSS = """
    FilterLine {
        display: none;
        height: auto;
        padding: 0 1;
        background: $surface;
        &.-open { display: block; }
        #problem { color: $text-error; }
    }
    """

    @dataclass
    class Changed(Message):
        """The text was changed."""

        text: str

    @dataclass
    class Submitted(Message):
        """Enter was pressed."""

        text: str

    input = getters.query_one(Input)
    problem = getters.query_one("#problem", Static)

    def __init__(self, placeholder: str) -> None:
        """Create a hidden line.

        Args:
            placeholder: Example that is shown while the input is empty.
        """
        super().__init__()
        self._placeholder = placeholder

    def compose(self) -> ComposeResult:
        """Yield the input and the error."""
        line = Input(compact=True, placeholder=self._placeholder)
        line.cursor_blink = False  # a blinking cursor never stops writing to the terminal
        yield line
        yield Static(id="problem", markup=False)

    @property
    def is_open(self) -> bool:
        """True while the line is shown."""
        return self.has_class("-open")

    def open(self, text: str) -> None:
        """Show the line with a text and focus it."""
        self.add_class("-open")
        self.input.value = text
        self.input.focus()

    def close(self) -> None:
        """Hide the line."""
        self.remove_class("-open")
        self.screen.set_focus(None)

    def clear(self) -> None:
        """Remove the text and hide the line."""
        self.input.value = ""
        self.show_problem("")
        self.close()

    def show_problem(self, problem: str) -> None:
        """Show the error in the text; an empty one removes it."""
        self.problem.update(safe_text(problem, 300))

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        event.stop()
        self.post_message(self.Changed(event.value))

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.post_message(self.Submitted(event.value))
