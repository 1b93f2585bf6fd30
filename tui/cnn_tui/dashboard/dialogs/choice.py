"""A dialog with a question and a few answers."""

from typing import NamedTuple

from rich.cells import cell_len
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Button, Label

from cnn_tui.dashboard.dialogs.dialog import Dialog, ScrolledBox
from cnn_tui.text.width import pad

MAX_WIDTH = 72

FRAME_WIDTH = 6
"""Cells of a dialog's border and padding."""

BUTTON_MARGIN = 3
"""Cells around the text of a button."""


class Answer(NamedTuple):
    """An answer, its key and its value."""

    key: str
    """Empty for an answer that is selected with the cursor only."""

    label: str
    value: str
    """Result of the dialog; empty for no change."""

    note: str = ""
    """Explanation beside the label; only of answers in a list."""


class ChoiceDialog(Dialog[str]):
    """Shows a question with an explanation, and returns the value of the answer."""

    VERTICAL_BREAKPOINTS = [(0, "-low"), (16, "-tall")]
    BINDINGS = [
        Binding("escape,q", "dismiss('')", show=False),
        Binding("left,up", "app.focus_previous", show=False),
        Binding("right,down", "app.focus_next", show=False),
    ]

    DEFAULT_CSS = """
    ChoiceDialog {
        align: center middle;
        & > ScrolledBox {
            width: 72;
            max-width: 100%;
            height: auto;
            max-height: 100%;
            padding: 1 2;
            border: round $primary;
            background: $surface;
            scrollbar-size: 0 1;
        }
        &.-notes > ScrolledBox {
            width: 114;
        }
        &.-notes Button {
            width: 100%;
            content-align: left middle;
            text-align: left;
            text-wrap: nowrap;
            text-overflow: ellipsis;
        }
        &.-low > ScrolledBox {
            padding: 0 1;
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
        Vertical {
            height: auto;
            &.-row {
                layout: horizontal;
                align-horizontal: right;
            }
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
    }
    """

    def __init__(self, question: str, explanation: str, *answers: Answer) -> None:
        super().__init__()
        self._question, self._explanation = question, explanation
        self._answers = answers

    def compose(self) -> ComposeResult:
        """Yield the question above its answers; the first one has the focus."""
        with ScrolledBox():
            yield Label(self._question, classes="question", markup=False)
            yield Label(self._explanation, classes="explanation", markup=False)
            with Vertical():
                width = max(cell_len(_text(answer)) for answer in self._answers)
                for index, answer in enumerate(self._answers):
                    yield Button(_content(answer, width), id=f"answer-{index}", compact=True)

    def on_resize(self) -> None:
        """Put the answers in a row if they fit, or else in a list."""
        answers = self.query_one(Vertical)
        width = sum(cell_len(_text(answer)) + BUTTON_MARGIN for answer in self._answers)
        has_notes = any(answer.note for answer in self._answers)
        fits = width <= min(MAX_WIDTH, self.size.width) - FRAME_WIDTH
        answers.set_class(fits and not has_notes, "-row")
        self.set_class(has_notes, "-notes")

    def on_key(self, event: events.Key) -> None:
        """Answer by a key, which then does not reach the screen below."""
        for answer in self._answers:
            if answer.key == event.key:
                event.stop()
                self.dismiss(answer.value)

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        index = int((event.button.id or "").removeprefix("answer-"))
        self.dismiss(self._answers[index].value)


def _text(answer: Answer) -> str:
    return f"{answer.label} ({answer.key})" if answer.key else answer.label


def _content(answer: Answer, width: int) -> Content:
    """Return the label padded to a width, and the note."""
    if not answer.note:
        return Content(_text(answer))
    return Content.assemble(f"{pad(_text(answer), width)}  ", (answer.note, "$muted not bold"))
