"""Checkpoints and whatever else happened, the newest first."""

from textwrap import wrap
from typing import TypeAlias

from textual.content import Content

from cnn_engine.events import CheckpointSaved, CommandApplied, Notice
from cnn_engine.state import RunState
from cnn_tui.format import clock, figure, safe_text
from cnn_tui.widgets.panel import Panel

Entry: TypeAlias = CheckpointSaved | Notice | CommandApplied


class EventList(Panel, can_focus=True):
    """One entry an event, with the time of day."""

    def on_mount(self) -> None:
        """Name the panel."""
        self.border_title = "Checkpoints"

    def draw(self, state: RunState, width: int, height: int) -> list[Content]:  # noqa: ARG002
        """The lines of all entries."""
        events: list[Entry] = [*state.checkpoints, *state.notices, *state.commands]
        entries = sorted(events, key=lambda event: event.time, reverse=True)
        return [line for entry in entries for line in _entry(entry, width)]


def _entry(event: Entry, width: int) -> list[Content]:
    time = (f"{clock(event.time)} ", "$muted")
    match event:
        case CheckpointSaved(reason="best"):
            change = f"{figure(event.old_loss)} → {figure(event.new_loss)}"
            return [Content.assemble(time, ("★ best  ", "$secondary"), change)]
        case CheckpointSaved():
            return [Content.assemble(time, ("  last  ", "$muted"), f"epoch {event.epoch}")]
        case CommandApplied():
            return [Content.assemble(time, f"  {event.command} asked by {safe_text(event.by)}")]
        case Notice():
            first, *rest = wrap(safe_text(event.text, 1000), max(10, width - 11)) or [""]
            return [
                Content.assemble(time, ("! ", "$text-warning"), first),
                *(Content(" " * 11 + line) for line in rest),
            ]
