"""Which run this is, on what it trains, and how it goes."""

from textual.content import Content

from cnn_engine.state import RunState
from cnn_tui.format import safe_text
from cnn_tui.widgets.panel import Panel, spread

BADGES = {
    "starting": ("○", "$text-warning"),
    "training": ("●", "$text-success"),
    "validating": ("●", "$text-success"),
    "testing": ("●", "$text-success"),
    "paused": ("Ⅱ", "$text-warning"),
    "stopping": ("◍", "$text-warning"),
    "done": ("✓", "$text-success"),
    "stopped": ("■", "$text-warning"),
    "interrupted": ("◌", "$text-warning"),
    "failed": ("✗", "$text-error"),
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

    overridden_status: str = ""
    """What the log cannot tell: `stopping`, or `interrupted` when no process holds the run."""

    def draw(self, state: RunState, width: int, height: int) -> list[Content]:  # noqa: ARG002
        """The one line."""
        started = state.started
        names = [state.preset, started.name, started.run_id] if started else []
        title = Content.assemble(
            ("cnn-tui", "bold $primary"),
            "  ",
            " · ".join(safe_text(name) for name in names if name),
        )
        status = self.overridden_status if not state.ended else ""
        status = status or state.status
        glyph, style = BADGES[status]
        badge = Content.assemble((f"  {glyph} {status}", style))
        machine = Content.styled(_machine(state), "$muted")
        right = machine + badge if width >= 100 else badge
        return [spread(title, right, width)]


def _machine(state: RunState) -> str:
    if state.prepared is None:
        return ""
    prepared, seed = state.prepared, state.config["train"]["seed"]
    threads = f" ×{prepared.threads}" if prepared.device == "cpu" else ""
    return f"{safe_text(prepared.device_name)}{threads} · {prepared.precision} · seed {seed}"
