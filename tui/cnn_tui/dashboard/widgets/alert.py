"""The box on top of the run screen: an error, alarms and new notices."""

from textual.content import Content

from cnn_engine.runlog.alarms import Alarm
from cnn_engine.runlog.events import Notice
from cnn_engine.runlog.state import RunState
from cnn_tui.dashboard.widgets.panel import Panel
from cnn_tui.text.safe import safe_text
from cnn_tui.text.width import cut, wrap

MAX_LINES = 4
MAX_NOTICES = 2
"""Lines for notices, each of which has one."""

NOTICE_SECONDS = 60
"""Time for which a notice is shown, by the clock of the run; the log keeps it."""


class Alert(Panel[RunState]):
    """The error that ended the run, or its alarms and new notices; hidden without any."""

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
        &.-info {
            border-left: thick $border;
            background: $background;
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
        notices = _new_notices(state)
        has_errors = any(alarm.severity == "error" for alarm in self.alarms)
        is_failed = bool(state.finished and state.finished.error)
        has_warnings = any(notice.severity == "warning" for notice in notices)
        self.set_class(bool(is_failed or self.alarms or notices), "-shown")
        self.set_class(state.status == "failed" or has_errors, "-failed")
        self.set_class(not (is_failed or self.alarms or has_warnings), "-info")
        super().show(state)

    def draw(self, state: RunState, width: int, height: int) -> list[Content]:  # noqa: ARG002
        """Return an error or alarms, wrapped, with a bold heading, and a line for each notice."""
        if state.finished and state.finished.error:
            return _limited(wrap(safe_text(state.finished.error, 1000), width), width)
        style = "$muted" if self.has_class("-info") else ""
        notices = [
            Content.styled(cut(safe_text(notice.text, 1000), width), style)
            for notice in _new_notices(state)[:MAX_NOTICES]
        ]
        lines: list[Content] = []
        for alarm in self.alarms:
            heading = safe_text(alarm.text, 300)
            first, *rest = wrap(f"{heading}  {safe_text(alarm.advice, 300)}", width)
            lines += [Content(first).stylize("bold", 0, len(heading)), *map(Content, rest)]
        room = MAX_LINES - min(len(notices), 1 if lines else MAX_NOTICES)
        return [*lines[:room], *notices][:MAX_LINES]


def _new_notices(state: RunState) -> list[Notice]:
    """Return the notices of the last `NOTICE_SECONDS`, warnings first, then the newest first."""
    new = [
        notice
        for notice in reversed(state.notices)
        if state.last_time - notice.time < NOTICE_SECONDS
    ]
    return sorted(new, key=lambda notice: notice.severity != "warning")


def _limited(lines: list[str], width: int) -> list[Content]:
    """Return the first lines, with an ellipsis at the end if there are more."""
    if len(lines) > MAX_LINES:
        lines = [*lines[: MAX_LINES - 1], cut(f"{lines[MAX_LINES - 1]} …", width)]
    return list(map(Content, lines))
