"""A dialog with a question and a few answers."""

from typing import NamedTuple

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Label


class Answer(NamedTuple):
    """An answer, its key and its value."""

    key: str
    label: str
    value: str
    """Result of the dialog; empty for no change."""


class ChoiceDialog(ModalScreen[str]):
    """Shows a question with an explanation, and returns the value of the answer."""

    HORIZONTAL_BREAKPOINTS = [(0, "-slim"), (72, "-wide")]
    BINDINGS = [
        Binding("escape,q", "dismiss('')", show=False),
        Binding("left,up", "app.focus_previous", show=False),
        Binding("right,down", "app.focus_next", show=False),
    ]

    DEFAULT_CSS = """
    ChoiceDialog {
        align: center middle;
        & > Vertical {
            width: 72;
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
            min-width: 0;
            margin: 0 0 0 1;
            color: $muted;
            background: transparent;
            text-style: none;
            &:focus {
                color: $primary;
                background: $panel;
                text-style: bold;
            }
        }
        &.-slim Horizontal {
            layout: vertical;
            align-horizontal: left;
        }
    }
    """

    def __init__(self, question: str, explanation: str, *answers: Answer) -> None:
        super().__init__()
        self._question, self._explanation = question, explanation
        self._answers = answers

    def compose(self) -> ComposeResult:
        """Yield the question above its answers; the first one has the focus."""
        with Vertical():
            yield Label(self._question, classes="question", markup=False)
            yield Label(self._explanation, classes="explanation", markup=False)
            with Horizontal():
                for answer in self._answers:
                    label = f"{answer.label} ({answer.key})"
                    yield Button(label, id=f"key-{answer.key}", compact=True)

    def on_key(self, event: events.Key) -> None:
        """Answer by a key, which then does not reach the screen below."""
        if any(answer.key == event.key for answer in self._answers):
            event.stop()
            self._answer(event.key)

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        self._answer((event.button.id or "").removeprefix("key-"))

    def _answer(self, key: str) -> None:
        for answer in self._answers:
            if answer.key == key:
                self.dismiss(answer.value)
