"""What went wrong, where nobody can overlook it."""

from textwrap import wrap

from textual.content import Content

from cnn_engine.state import RunState
from cnn_tui.format import safe_text
from cnn_tui.widgets.panel import Panel


class Alert(Panel):
    """The error that ended the run, or else the last notice; hidden when there is neither."""

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

    def show(self, state: RunState) -> None:
        """Appear if there is something to say."""
        self.set_class(bool(_text(state)), "-shown")
        self.set_class(state.status == "failed", "-failed")
        super().show(state)

    def draw(self, state: RunState, width: int, height: int) -> list[Content]:  # noqa: ARG002
        """The text, wrapped."""
        return [Content(line) for line in wrap(_text(state), width)]


def _text(state: RunState) -> str:
    if state.finished and state.finished.error:
        return safe_text(state.finished.error, 1000)
    return safe_text(state.notices[-1].text, 1000) if state.notices else ""
