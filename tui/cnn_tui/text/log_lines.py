"""Events of a run as lines of the log; frequent events, which the curve shows, are left out."""

import math
from typing import NamedTuple

from cnn_engine.runlog import events
from cnn_engine.runlog.events import Event
from cnn_tui.text.events import (
    STAGES,
    alarm_text,
    best_change_text,
    command_text,
    device_text,
    loop_text,
    resumed_text,
    rolled_back_text,
    time_limit_text,
)
from cnn_tui.text.numbers import decimal, duration, percent
from cnn_tui.text.processes import restarted_text
from cnn_tui.text.safe import safe_text

MAX_LENGTH = 2000


class LogLine(NamedTuple):
    """A line of the log panel."""

    time: float
    """Seconds since 1970; 0 for captured output."""

    glyph: str
    style: str
    text: str
    """Safe text."""


def log_line(event: Event) -> LogLine | None:
    """Return the line of an event; None for events that are not shown."""
    described = _describe(event)
    return LogLine(event.time, *described) if described else None


def output_line(line: bytes) -> LogLine:
    """Return a line of captured output."""
    return LogLine(0.0, "▸", "$muted", safe_text(line.decode("utf-8", "replace"), MAX_LENGTH))


def _describe(event: Event) -> tuple[str, str, str] | None:  # noqa: C901, PLR0911, PLR0912 - flat
    match event:
        case events.RunStarted():
            text = f"run {event.run_id} started, process {event.pid} on {event.host}"
            return "●", "$primary", safe_text(text, MAX_LENGTH)
        case events.RunQueued():
            text = f"queued for {event.device} on {event.host}"
            return "·", "$muted", safe_text(text, MAX_LENGTH)
        case events.RunResumed():
            text = f"{resumed_text(event)}, process {event.pid} on {event.host}"
            return "▶", "$primary", safe_text(text, MAX_LENGTH)
        case events.RolledBack():
            return "←", "$text-warning", f"rolled back {rolled_back_text(event)}"
        case events.ImportRevised():
            return "←", "$muted", "the imported log was changed; its values are read anew"
        case events.ConfigReplaced():
            return "!", "$text-warning", safe_text(event.reason, MAX_LENGTH)
        case events.TimeLimitSet():
            return "·", "$muted", time_limit_text(event.end)
        case events.StageStarted():
            return "·", "$muted", STAGES[event.stage]
        case events.RunPrepared():
            return "●", "$primary", _prepared(event)
        case events.LoopDescribed():
            return "●", "$primary", loop_text(event)
        case events.EpochStarted():
            start = f"continued after step {event.step}" if event.step else "started"
            return "·", "$muted", f"epoch {event.epoch} {start}"
        case events.EpochFinished():
            return "●", "$primary", _epoch(event)
        case events.CheckpointSaved():
            return _checkpoint(event)
        case events.StepsCaptured():
            return _captured(event)
        case events.Notice(severity="info"):
            return "·", "$muted", safe_text(event.text, MAX_LENGTH)
        case events.Notice() | events.CommandRefused():
            return "!", "$text-warning", safe_text(event.text, MAX_LENGTH)
        case events.AlarmRaised():
            style = "$text-error" if event.severity == "error" else "$text-warning"
            return "!", style, alarm_text(event)
        case events.CommandApplied():
            return "›", "$primary", command_text(event)
        case events.TestFinished():
            text = f"test: loss {decimal(event.loss)}, accuracy {percent(event.accuracy, 2)}"
            return "●", "$primary", f"{text}, with the weights of epoch {event.epoch}"
        case events.ProcessesJoined():
            return "●", "$primary", restarted_text(event)
        case events.ProcessLost():
            text = f"a process was lost: {event.reason}"
            return "!", "$text-warning", safe_text(text, MAX_LENGTH)
        case events.RunFinished():
            return _finished(event)
        case _:
            return None


def _prepared(event: events.RunPrepared) -> str:
    sizes = f"{event.train_images:,} + {event.val_images:,} + {event.test_images:,}"
    device = f"{device_text(event)} in {event.precision}"
    text = f"{event.source}: {sizes} images in {len(event.classes):,} classes; "
    return safe_text(f"{text}{event.parameters:,} parameters on {device}", MAX_LENGTH)


def _epoch(event: events.EpochFinished) -> str:
    losses = {"train": event.known_train_loss, "val": event.known_val_loss}
    parts = [f"{name} {decimal(loss)}" for name, loss in losses.items() if loss is not None]
    if not math.isnan(event.val_accuracy):
        parts.append(f"accuracy {percent(event.val_accuracy)}")
    parts.append(f"{event.train_seconds:.1f} s + {event.val_seconds:.1f} s")
    return f"epoch {event.epoch} finished: {', '.join(parts)}"


def _captured(event: events.StepsCaptured) -> tuple[str, str, str]:
    if event.reason:
        return (
            "!",
            "$text-warning",
            safe_text(f"no CUDA graph: {event.reason}", MAX_LENGTH),
        )
    return "·", "$muted", "steps are captured as a CUDA graph and replayed"


def _checkpoint(event: events.CheckpointSaved) -> tuple[str, str, str]:
    file = safe_text(event.file)
    if event.reason == "best":
        if event.change is None:
            return "★", "$secondary", f"epoch {event.epoch}, the latest, saved as {file}"
        return "★", "$secondary", f"best so far, {best_change_text(event)}: saved as {file}"
    requested = ", as requested" if event.reason == "asked" else ""
    step = f" to step {event.step}" if event.step else ""
    return "■", "$muted", f"epoch {event.epoch}{step} saved as {file}{requested}"


def _finished(event: events.RunFinished) -> tuple[str, str, str]:
    text = f"{event.status} after {duration(event.seconds)}"
    if event.status == "detached":
        return "■", "$muted", f"{text}: continues in the background"
    if event.status == "failed":
        return "✗", "$text-error", f"{text}: {safe_text(event.error, MAX_LENGTH)}"
    return ("✓", "$text-success", text) if event.status == "done" else ("■", "$text-warning", text)
