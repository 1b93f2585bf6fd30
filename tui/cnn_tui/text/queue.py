"""Texts about queued runs."""

from cnn_engine.runs.directory import RunDirectory
from cnn_engine.runs.queue_places import QueuePlace, waits_for
from cnn_engine.runs.summary import RunSummary
from cnn_tui.text.safe import safe_text
from cnn_tui.text.shell import command_for


def status_text(run: RunSummary) -> str:
    """Return the status of a run in a list: `queued 2`, `held`, `training`."""
    if run.queue_position is None:
        return run.status
    return f"queued {run.queue_position}" if run.queue_position else "held"


def joined(names: list[str]) -> str:
    """Return `a`, `a and b`, or `a, b and c`."""
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def waiting_text(place: QueuePlace, run: RunDirectory) -> str:
    """Return `Queued 2 for cpu: waits for 1124-0412-amber and 1 queued run`.

    Args:
        place: Place of the run in the queue.
        run: The run.
    """
    device = "GPU" if place.entry.device == "cuda" else place.entry.device
    if not place.position:
        return f"Held in the queue; to put it back in line: {command_for('unpause', run)}"
    blockers = [safe_text(run_id, 40) for run_id in waits_for(place)[:3]]
    if before := place.position - 1:
        blockers.append(f"{before} queued run{'s' * (before > 1)}")
    reason = f"waits for {joined(blockers)}" if blockers else "starts in a moment"
    return f"Queued {place.position} for {device}: {reason}"
