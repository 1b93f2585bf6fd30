"""What went wrong or is about to, why, and what to do, where nobody can overlook it."""

from textwrap import wrap

from textual.content import Content

from cnn_engine.runlog.alarms import Alarm
from cnn_engine.runlog.state import RunState
from cnn_tui.dashboard.widgets.panel import Panel
from cnn_tui.text.safe import safe_text

MOST_LINES = 4
NOTICE_SECONDS = 60
"""For so long a notice stays, by the clock of the run; after that it is in the log only."""


class Alert(Panel):
    """The error that ended the run, or else its alarms, or a new notice; hidden without any."""

    DEFAULT_CSS = """
    Alert {
        display: none;
        height: auto;
        max-height: 4;
        margin: 1 0 0 0;
        padding: 0 1;
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
        """What is amiss now, the worst first."""

    def show(self, state: RunState) -> None:
        """Appear if there is something to say."""
        grave = any(alarm.severity == "error" for alarm in self.alarms)
        self.set_class(bool(_texts(state, self.alarms)), "-shown")
        self.set_class(state.status == "failed" or grave, "-failed")
        super().show(state)

    def draw(self, state: RunState, width: int, height: int) -> list[Content]:  # noqa: ARG002
        """The texts, wrapped; of each the first words stand out."""
        lines = []
        for head, text in _texts(state, self.alarms):
            first, *rest = wrap(f"{head}  {text}" if head else text, width) or [""]
            lines += [Content(first).stylize("bold", 0, len(head)), *map(Content, rest)]
        return lines[:MOST_LINES]


def _texts(state: RunState, alarms: list[Alarm]) -> list[tuple[str, str]]:
    if state.finished and state.finished.error:
        return [("", safe_text(state.finished.error, 1000))]
    if alarms:
        return [(safe_text(alarm.text, 300), safe_text(alarm.advice, 300)) for alarm in alarms]
    if state.notices and state.last_time - state.notices[-1].time < NOTICE_SECONDS:
        return [("", safe_text(state.notices[-1].text, 1000))]
    return []
