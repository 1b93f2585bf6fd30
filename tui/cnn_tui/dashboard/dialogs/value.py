"""Another learning rate, another number of epochs, another name."""

from collections.abc import Callable
from typing import Generic, TypeVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Label

from cnn_engine.errors import UserError

Value = TypeVar("Value")


class ValueDialog(ModalScreen[Value | None], Generic[Value]):
    """Asks for a value, and returns it; None to leave it as it is."""

    BINDINGS = [Binding("escape", "dismiss(None)", show=False)]

    DEFAULT_CSS = """
    ValueDialog {
        align: center middle;
        & > Vertical {
            width: 64;
            max-width: 100%;
            height: auto;
            padding: 1 2;
            border: round $primary;
            background: $surface;
        }
        .question {
            text-style: bold;
        }
        .explanation {
            width: 100%;
            color: $muted;
        }
        Input {
            margin: 1 0;
        }
        #problem {
            width: 100%;
            color: $text-error;
            text-style: bold;
        }
    }
    """

    def __init__(
        self, question: str, explanation: str, now: str, read: Callable[[str], Value]
    ) -> None:
        """Ask.

        Args:
            question: What the value is.
            explanation: From when on it holds, in a sentence.
            now: What it is now; empty if that is not known.
            read: Makes a value of what is typed; its ValueError says what is wrong with that.
        """
        super().__init__()
        self._question, self._explanation = question, explanation
        self._now, self._read = now, read

    def compose(self) -> ComposeResult:
        """The question above the line for the answer."""
        with Vertical():
            yield Label(self._question, classes="question")
            yield Label(
                f"{self._explanation} Enter to set it, esc to leave it as it is.",
                classes="explanation",
            )
            value = Input(self._now, compact=True)
            value.cursor_blink = False  # a blinking cursor never stops writing to the terminal
            yield value
            yield Label("", id="problem", markup=False)

    @on(Input.Changed)
    def _changed(self) -> None:
        self.query_one("#problem", Label).update("")

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        try:
            self.dismiss(self._read(event.value))
        except (ValueError, UserError) as error:
            self.query_one("#problem", Label).update(str(error))
