"""The box on top of the run screen: an error, alarms and new notices."""

from textual.content import Content

from cnn_engine.runlog.alarms import Alarm
from cnn_engine.runlog.events import Notice
from cnn_engine.runlog.state import RunState
from cnn_tui.dashboard.keys import shown_key
from cnn_tui.dashboard.widgets.panel import Panel
from cnn_tui.text.safe import safe_text
from cnn_tui.text.width import cut, wrap

MAX_LINES = 4
"""Lines of the box while it is not focused."""

MAX_NOTICES = 2
"""Lines for notices, each of which has one."""

MAX_CHARACTERS = 10_000

NOTICE_SECONDS = 60
"""Time for which a notice is shown, by the clock of the run; the log keeps it."""


class Alert(Panel[RunState], can_focus=True):
    """The error that ended the run, or its alarms and new notices; hidden without any.

    Focused, it is larger and scrolls.
    """

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
        &:focus {
            max-height: 50%;
            border: none;
            border-left: thick $primary;
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

    def watch_has_focus(self, has_focus: bool) -> None:
        """Draw all lines while it is focused."""
        super().watch_has_focus(has_focus)
        self._redraw()

    def draw(self, state: RunState, width: int, height: int) -> list[Content]:  # noqa: ARG002
        """Return an error or alarms, wrapped, with a bold heading, and a line for each notice."""
        if state.finished and state.finished.error:
            error = safe_text(state.finished.error, MAX_CHARACTERS)
            return self._limited(list(map(Content, wrap(error, width))))
        style = "$muted" if self.has_class("-info") else ""
        notices = [
            Content.styled(cut(safe_text(notice.text, 1000), width), style)
            for notice in _new_notices(state)[:MAX_NOTICES]
        ]
        lines: list[Content] = []
        for alarm in self.alarms:
            heading = safe_text(alarm.text, 300)
            first, *rest = wrap(f"{heading}. {safe_text(alarm.advice, 300)}", width)
            lines += [Content(first).stylize("bold", 0, len(heading) + 1), *map(Content, rest)]
        if not lines or self.has_focus:
            return [*lines, *notices]
        return [*self._limited(lines, MAX_LINES - len(notices[:1])), *notices][:MAX_LINES]

    def _limited(self, lines: list[Content], room: int = MAX_LINES) -> list[Content]:
        """Return the first lines, with a sign at the end if there are more; focused, all."""
        if self.has_focus or len(lines) <= room:
            return lines
        hidden = len(lines) - room + 1
        copy = shown_key(self.app, "run.copy")
        sign = f"… {hidden} more lines: shift+tab shows them, {copy} copies"
        return [*lines[: room - 1], Content.styled(sign, "bold")]


def _new_notices(state: RunState) -> list[Notice]:
    """Return the notices of the last `NOTICE_SECONDS`, warnings first, then the newest first."""
    new = [
        notice
        for notice in reversed(state.messages)
        if state.last_time - notice.time < NOTICE_SECONDS
    ]
    return sorted(new, key=lambda notice: notice.severity != "warning")
