"""Checkpoints and whatever else happened, the newest first."""

from collections.abc import Sequence
from typing import TypeAlias

from textual.content import Content

from cnn_engine.runlog.events import CheckpointSaved, CommandApplied, Notice
from cnn_engine.runlog.state import RunState
from cnn_tui.dashboard.widgets.panel import LazyLines, Panel
from cnn_tui.text.events import command_text
from cnn_tui.text.numbers import clock, decimal
from cnn_tui.text.safe import safe_text

Entry: TypeAlias = CheckpointSaved | Notice | CommandApplied


class EventList(Panel, can_focus=True):
    """One line an event, with the time of day; the log has the whole of it."""

    def on_mount(self) -> None:
        """Name the panel."""
        self.border_title = "Checkpoints"

    def depends_on(self, state: RunState) -> object:
        """How many there are of each."""
        return len(state.checkpoints), len(state.notices), len(state.commands)

    def draw(self, state: RunState, width: int, height: int) -> Sequence[Content]:  # noqa: ARG002
        """A line for each."""
        events: list[Entry] = [*_shown(state.checkpoints), *state.notices, *state.commands]
        events.sort(key=lambda event: event.time, reverse=True)
        return LazyLines(len(events), lambda y: _line(events[y], state.steps_per_epoch))


def _shown(checkpoints: list[CheckpointSaved]) -> list[CheckpointSaved]:
    """All but those saved as a matter of course, of which the newest has replaced the others."""
    routine = [saved for saved in checkpoints if saved.reason == "last"]
    return [saved for saved in checkpoints if saved.reason != "last"] + routine[-1:]


def _line(event: Entry, steps_per_epoch: int) -> Content:
    time = (f"{clock(event.time)} ", "$muted")
    match event:
        case CheckpointSaved(reason="best"):
            change = f"{decimal(event.old_loss)} → {decimal(event.new_loss)}"
            if event.new_loss is None:  # nothing to choose by: the latest
                change = _place(event, steps_per_epoch)
            return Content.assemble(time, ("★ best  ", "$secondary"), change)
        case CheckpointSaved(reason="asked"):
            return Content.assemble(time, "■ saved ", _place(event, steps_per_epoch))
        case CheckpointSaved():
            return Content.assemble(time, ("  last  ", "$muted"), _place(event, steps_per_epoch))
        case CommandApplied():
            return Content.assemble(time, ("› ", "$primary"), command_text(event))
        case Notice():
            return Content.assemble(time, ("! ", "$text-warning"), safe_text(event.text, 1000))


def _place(event: CheckpointSaved, steps_per_epoch: int) -> str:
    """`epoch 6`, or `epoch 6, batch 12` before its end."""
    batch = f", batch {event.step}" if 0 < event.step < steps_per_epoch else ""
    return f"epoch {event.epoch}{batch}"
