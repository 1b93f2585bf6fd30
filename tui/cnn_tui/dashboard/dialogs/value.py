"""A dialog for a value, such as a learning rate or a name."""

from collections.abc import Callable
from typing import Generic, TypeVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.widgets import Input, Label

from cnn_engine.errors import UserError
from cnn_tui.dashboard.dialogs.dialog import Dialog

Value = TypeVar("Value")

PROBLEM_SECONDS = 1.0
"""Time after which a problem that is shown is checked again."""


class ValueDialog(Dialog[Value | None], Generic[Value]):
    """Asks for a value and returns it; None to keep the current one."""

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
        self,
        question: str,
        explanation: str,
        current: str,
        parse: Callable[[str], Value],
        *,
        restrict: str | None = None,
    ) -> None:
        """Create the dialog.

        Args:
            question: Name of the value.
            explanation: Effect of the value, in a sentence.
            current: The current value; empty if unknown.
            parse: Returns the value of a text; raises a ValueError or UserError with the reason.
            restrict: Regular expression of all that can be typed; None for any text.
        """
        super().__init__()
        self._question, self._explanation = question, explanation
        self._current, self._parse = current, parse
        self._restrict = restrict
        self._problem = ""

    def compose(self) -> ComposeResult:
        """Yield the question above the input."""
        with Vertical():
            yield Label(self._question, classes="question", markup=False)
            yield Label(
                f"{self._explanation} enter: set   esc: cancel",
                classes="explanation",
                markup=False,
            )
            value = Input(self._current, restrict=self._restrict, compact=True)
            value.cursor_blink = False  # a blinking cursor never stops writing to the terminal
            yield value
            yield Label("", id="problem", markup=False)

    def on_mount(self) -> None:
        """Keep the shown problem up to date: the run goes on."""
        self.set_interval(PROBLEM_SECONDS, self._update_problem)

    def _update_problem(self) -> None:
        if self._problem:
            try:
                self._parse(self.query_one(Input).value)
            except (ValueError, UserError) as error:
                self._show_problem(str(error))

    def _show_problem(self, problem: str) -> None:
        if problem != self._problem:
            self._problem = problem
            self.query_one("#problem", Label).update(problem)

    @on(Input.Changed)
    def _changed(self) -> None:
        self._show_problem("")

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        if self._current and event.value == self._current:
            # The shown value may be rounded, or outdated by a learning rate schedule.
            self.dismiss(None)
            return
        try:
            self.dismiss(self._parse(event.value))
        except (ValueError, UserError) as error:
            self._show_problem(str(error))
