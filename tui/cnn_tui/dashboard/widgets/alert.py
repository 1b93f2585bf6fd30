"""The box on top of the run screen: an error, alarms or a new notice."""

from textwrap import wrap

from textual.content import Content

from cnn_engine.runlog.alarms import Alarm
from cnn_engine.runlog.state import RunState
from cnn_tui.dashboard.widgets.panel import Panel
from cnn_tui.text.safe import safe_text

MAX_LINES = 4
NOTICE_SECONDS = 60
"""Time for which a notice is shown, by the clock of the run; the log keeps it."""


class Alert(Panel[RunState]):
    """The error that ended the run, its alarms, or its newest notice; hidden without any."""

    DEFAULT_CSS = """
    Alert {
        display: none;
        height: auto;
        max-height: 4;
        margin: 1 0 0 0;
        border: none;
        border-left: thick $warning;
        background: $warning-muted;
        &.-failed {
            border-left: thick $error;
            background: $error-muted;
        }
        &.-shown {
            display: block;
        }
    }
    """

    def __init__(self) -> None:
        super().__init__()
        self.alarms: list[Alarm] = []
        """The current alarms, the most severe first; to be set before `show`."""

    def show(self, state: RunState) -> None:
        """Show the texts, and hide the box if there are none."""
        has_errors = any(alarm.severity == "error" for alarm in self.alarms)
        self.set_class(bool(_texts(state, self.alarms)), "-shown")
        self.set_class(state.status == "failed" or has_errors, "-failed")
        super().show(state)

    def draw(self, state: RunState, width: int, height: int) -> list[Content]:  # noqa: ARG002
        """Return the texts, wrapped, each with a bold heading."""
        lines = []
        for heading, text in _texts(state, self.alarms):
            first, *rest = wrap(f"{heading}  {text}" if heading else text, width) or [""]
            lines += [Content(first).stylize("bold", 0, len(heading)), *map(Content, rest)]
        return lines[:MAX_LINES]


def _texts(state: RunState, alarms: list[Alarm]) -> list[tuple[str, str]]:
    """Return a heading and a text for each message to show."""
    if state.finished and state.finished.error:
        return [("", safe_text(state.finished.error, 1000))]
    if alarms:
        return [(safe_text(alarm.text, 300), safe_text(alarm.advice, 300)) for alarm in alarms]
    if state.notices and state.last_time - state.notices[-1].time < NOTICE_SECONDS:
        return [("", safe_text(state.notices[-1].text, 1000))]
    return []
