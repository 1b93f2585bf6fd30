"""Checkpoints, notices, alarms and applied commands, the newest first."""

from collections.abc import Sequence
from typing import TypeAlias

from textual.content import Content

from cnn_engine.runlog.events import AlarmRaised, CheckpointSaved, CommandApplied, Notice
from cnn_engine.runlog.state import RunState
from cnn_tui.dashboard.widgets.panel import LazyLines, Panel
from cnn_tui.text.events import best_change_text, command_text
from cnn_tui.text.numbers import clock
from cnn_tui.text.safe import safe_text

ListedEvent: TypeAlias = CheckpointSaved | Notice | AlarmRaised | CommandApplied


def has_events(state: RunState) -> bool:
    """Return True if the list is not empty."""
    return bool(state.checkpoints or state.messages or state.alarms or state.commands)


class EventList(Panel[RunState], can_focus=True):
    """A line for each event, with the time of day; the log has the full texts."""

    TITLE = "Checkpoints"

    def depends_on(self, state: RunState) -> object:
        """Return the number of events of each kind."""
        return len(state.checkpoints), len(state.messages), len(state.alarms), len(state.commands)

    def draw(self, state: RunState, width: int, height: int) -> Sequence[Content]:  # noqa: ARG002
        """Return a line for each event."""
        checkpoints = _without_replaced(state.checkpoints)
        events: list[ListedEvent] = [
            *checkpoints,
            *state.messages,
            *state.alarms,
            *state.commands,
        ]
        events.sort(key=lambda event: event.time, reverse=True)
        return LazyLines(len(events), lambda y: _line(events[y], state.steps_per_epoch))


def _without_replaced(checkpoints: list[CheckpointSaved]) -> list[CheckpointSaved]:
    """Return the checkpoints without the regular ones that a newer one has replaced."""
    regular = [saved for saved in checkpoints if saved.reason == "last"]
    return [saved for saved in checkpoints if saved.reason != "last"] + regular[-1:]


def _line(event: ListedEvent, steps_per_epoch: int) -> Content:
    time = (f"{clock(event.time)} ", "$muted")
    match event:
        case CheckpointSaved(reason="best"):
            # Without a validation set there is no change.
            change = best_change_text(event) or _position(event, steps_per_epoch)
            return Content.assemble(time, ("★ best  ", "$secondary"), change)
        case CheckpointSaved(reason="asked"):
            return Content.assemble(time, "■ saved ", _position(event, steps_per_epoch))
        case CheckpointSaved():
            return Content.assemble(time, ("  last  ", "$muted"), _position(event, steps_per_epoch))
        case CommandApplied():
            return Content.assemble(time, ("› ", "$primary"), command_text(event))
        case AlarmRaised():
            style = "$text-error" if event.severity == "error" else "$text-warning"
            return Content.assemble(time, ("! ", style), safe_text(event.text, 1000))
        case Notice():
            glyph = ("· ", "$muted") if event.severity == "info" else ("! ", "$text-warning")
            return Content.assemble(time, glyph, safe_text(event.text, 1000))


def _position(event: CheckpointSaved, steps_per_epoch: int) -> str:
    """Return `epoch 6`, or `epoch 6, batch 12` in mid-epoch."""
    batch = f", batch {event.step}" if 0 < event.step < steps_per_epoch else ""
    return f"epoch {event.epoch}{batch}"
