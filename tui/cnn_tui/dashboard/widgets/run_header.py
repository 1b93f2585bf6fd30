"""Which run this is, on what it trains, and how it goes."""

from textual.content import Content

from cnn_engine.runlog.state import RunState
from cnn_engine.runs.commands import Name
from cnn_tui.dashboard.widgets.panel import Panel, justify
from cnn_tui.text.events import device_text
from cnn_tui.text.safe import safe_text

BADGES = {
    "starting": ("○", "$text-warning"),
    "training": ("●", "$text-success"),
    "validating": ("●", "$text-success"),
    "testing": ("●", "$text-success"),
    "paused": ("‖", "$text-warning"),
    "pausing": ("◍", "$text-warning"),
    "going on": ("◍", "$text-warning"),
    "stopping": ("◍", "$text-warning"),
    "done": ("✓", "$text-success"),
    "stopped": ("■", "$text-warning"),
    "handing over": ("◍", "$text-warning"),
    "interrupted": ("◌", "$text-warning"),
    "failed": ("✗", "$text-error"),
    "damaged": ("✗", "$text-error"),
    "detached": ("◍", "$text-warning"),
}
UNANSWERED: dict[Name, str] = {
    "pause": "pausing",
    "unpause": "going on",
    "stop": "stopping",
    "detach": "handing over",
}


class RunHeader(Panel):
    """One line: names on the left, machine and status on the right."""

    DEFAULT_CSS = """
    RunHeader {
        height: 1;
        padding: 0 1;
        background: $panel;
    }
    """

    asked: Name | None = None
    """What was asked of the engine and is not done yet."""

    is_dead: bool = False
    """Whether the run has not ended, but no process trains it."""

    def draw(self, state: RunState, width: int, height: int) -> list[Content]:  # noqa: ARG002
        """The one line."""
        started = state.started
        names = [state.preset, started.name, started.run_id] if started else []
        title = Content.assemble(
            ("cnn-tui", "bold $primary"),
            "  ",
            " · ".join(safe_text(name) for name in names if name),
        )
        status = self._status(state)
        glyph, style = BADGES[status]
        last = ", last epoch" if _stops_after_epoch(state) else ""
        badge = Content.assemble((f"  {glyph} {status}{last}", style))
        machine = Content.styled(_machine(state), "$muted")
        right = machine + badge if width >= 100 else badge
        return [justify(title, right, width)]

    def _status(self, state: RunState) -> str:
        if self.is_dead:
            return "interrupted"
        if self.asked and not state.has_ended:
            return UNANSWERED.get(self.asked, state.status)
        return "handing over" if state.status == "detached" else state.status


def _stops_after_epoch(state: RunState) -> bool:
    return not state.has_ended and state.stops_after_epoch


def _machine(state: RunState) -> str:
    if state.prepared is None:
        return ""
    prepared, seed = state.prepared, state.setting("train.seed")
    graph = " · graph" if state.is_captured else ""
    text = f"{device_text(prepared)} · {prepared.precision}{graph} · seed {seed}"
    return safe_text(text, 120)
