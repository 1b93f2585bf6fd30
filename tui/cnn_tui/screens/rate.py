"""Another learning rate."""

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Label

from cnn_tui.values import rate_from


class RateDialog(ModalScreen[float | None]):
    """Asks for a learning rate, and returns it; None to leave it as it is."""

    BINDINGS = [Binding("escape", "dismiss(None)", show=False)]

    DEFAULT_CSS = """
    RateDialog {
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

    def __init__(self, now: float | None) -> None:
        super().__init__()
        self._now = "" if now is None else f"{now:.4g}"

    def compose(self) -> ComposeResult:
        """The question above the line for the answer."""
        with Vertical():
            yield Label("Learning rate", classes="question")
            yield Label(
                "Used from the next step on. Enter to set it, esc to keep the one there is.",
                classes="explanation",
            )
            rate = Input(self._now, placeholder="such as 3e-4", compact=True)
            rate.cursor_blink = False  # a blinking cursor never stops writing to the terminal
            yield rate
            yield Label("", id="problem", markup=False)

    @on(Input.Changed)
    def _changed(self) -> None:
        self.query_one("#problem", Label).update("")

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        try:
            self.dismiss(rate_from(event.value))
        except ValueError as error:
            self.query_one("#problem", Label).update(str(error))
