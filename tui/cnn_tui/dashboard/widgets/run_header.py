"""The first line of the run screen: the run, the device, the status."""

from textual.content import Content
from textual.reactive import reactive

from cnn_engine.runlog.state import RunState
from cnn_engine.runs.commands import Name
from cnn_tui.dashboard.widgets.panel import Panel, justify
from cnn_tui.text.events import device_text
from cnn_tui.text.processes import machine_count
from cnn_tui.text.safe import safe_text

BADGES = {
    "queued": ("◷", "$muted"),
    "starting": ("○", "$text-warning"),
    "training": ("●", "$text-success"),
    "validating": ("●", "$text-success"),
    "testing": ("●", "$text-success"),
    "paused": ("‖", "$text-warning"),
    "restarting": ("○", "$text-warning"),
    "done": ("✓", "$text-success"),
    "stopped": ("■", "$text-warning"),
    "interrupted": ("◌", "$text-warning"),
    "failed": ("✗", "$text-error"),
    "damaged": ("✗", "$text-error"),
    "detached": ("◍", "$text-warning"),
}
"""Glyph and style of each status."""

PENDING: dict[Name, str] = {
    "pause": "pausing",
    "unpause": "resuming",
    "stop": "stopping",
    "stop-test": "stopping",
    "detach": "detaching",
}
"""The status while a command waits for the engine."""

PENDING_BADGE = ("◍", "$text-warning")


class RunHeader(Panel[RunState]):
    """One line: names on the left, device and status on the right."""

    DEFAULT_CSS = """
    RunHeader {
        height: 1;
        border: none;
        background: $panel;
    }
    """

    pending: reactive[Name | None] = reactive(None, repaint=False)
    """The command that the engine has not applied yet."""

    is_dead: reactive[bool] = reactive(False, repaint=False)
    """True if the run has not ended, but no process trains it."""

    is_restarting: reactive[bool] = reactive(False, repaint=False)
    """True if the processes of the run are about to be started again."""

    def watch_is_restarting(self) -> None:
        """Draw the new status."""
        self._redraw()

    def watch_pending(self) -> None:
        """Draw the new status."""
        self._redraw()

    def watch_is_dead(self) -> None:
        """Draw the new status."""
        self._redraw()

    def draw(self, state: RunState, width: int, height: int) -> list[Content]:  # noqa: ARG002
        """Return one line."""
        started = state.started
        names = [state.preset, started.name, started.run_id] if started else []
        if started and started.members > 1:
            names.append(f"run {started.member} of {started.members}")
        title = Content.assemble(
            ("cnn-tui", "bold $primary"),
            "  ",
            " · ".join(safe_text(name) for name in names if name),
        )
        status, (glyph, style) = self._status(state)
        last = ", last epoch" if not state.has_ended and state.stops_after_epoch else ""
        badge = Content.assemble((f"  {glyph} {status}{last}", style))
        device = Content.styled(_device(state), "$muted")
        return [justify(title, device + badge if width >= 100 else badge, width)]

    def _status(self, state: RunState) -> tuple[str, tuple[str, str]]:
        """Return the status and its badge."""
        if self.is_dead:
            return "interrupted", BADGES["interrupted"]
        if self.is_restarting:
            return "restarting", BADGES["restarting"]
        if self.pending in PENDING and not state.has_ended:
            return PENDING[self.pending], PENDING_BADGE
        if state.status == "detached":
            return PENDING["detach"], PENDING_BADGE
        return state.status, BADGES[state.status]


def _device(state: RunState) -> str:
    """Return device, precision and seed, or the framework whose loop trains the run."""
    if state.loop:
        return safe_text(state.loop.framework, 120)
    if state.prepared is None:
        return ""
    prepared, seed = state.prepared, state.setting("train.seed")
    graph = " · graph" if state.is_captured else ""
    device = " · ".join(filter(None, (device_text(prepared), machine_count(state))))
    text = f"{device} · {prepared.precision}{graph} · seed {seed}"
    return safe_text(text, 120)
