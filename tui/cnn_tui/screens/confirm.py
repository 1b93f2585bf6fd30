"""A question to be answered with yes or no."""

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Label


class Confirm(ModalScreen[bool]):
    """Asks, explains the choice in a sentence, and returns whether the answer was yes."""

    BINDINGS = [
        Binding("y", "answer(True)", "Yes", show=False),
        Binding("n,escape,q", "answer(False)", "No", show=False),
        Binding("left,right", "app.focus_next", "Other", show=False),
    ]

    DEFAULT_CSS = """
    Confirm {
        align: center middle;
        & > Vertical {
            width: 60;
            max-width: 100%;
            height: auto;
            padding: 1 2;
            border: round $primary;
            background: $surface;
        }
        Label {
            width: 100%;
        }
        .question {
            text-style: bold;
        }
        .explanation {
            color: $muted;
            margin: 0 0 1 0;
        }
        Horizontal {
            height: auto;
            align-horizontal: right;
        }
        Button {
            margin: 0 0 0 2;
        }
    }
    """

    def __init__(self, question: str, explanation: str, yes: str, no: str) -> None:
        super().__init__()
        self._question, self._explanation = question, explanation
        self._yes, self._no = yes, no

    def compose(self) -> ComposeResult:
        """The question above its two answers; yes has the focus."""
        with Vertical():
            yield Label(self._question, classes="question", markup=False)
            yield Label(self._explanation, classes="explanation", markup=False)
            with Horizontal():
                yield Button(f"{self._yes} (y)", id="yes", variant="primary", compact=True)
                yield Button(f"{self._no} (n)", id="no", compact=True)

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "yes")

    def action_answer(self, yes: bool) -> None:
        """Answer by key."""
        self.dismiss(yes)
