"""Texts for parts of events."""

import math
import time

from cnn_engine.runlog.best_metric import VAL_MACRO_F1, best_metric
from cnn_engine.runlog.events import (
    AlarmRaised,
    CheckpointSaved,
    CommandApplied,
    LoopDescribed,
    RolledBack,
    RunPrepared,
    RunResumed,
    TestFinished,
)
from cnn_tui.text.best import value_text
from cnn_tui.text.numbers import clock, date, percent
from cnn_tui.text.processes import process_count
from cnn_tui.text.safe import safe_text

STAGES = {
    "torch": "Loading PyTorch",
    "data": "Loading images",
    "model": "Building the model",
    "test": "Testing the best checkpoint",
}
"""Names of the stages before and after training."""


def device_text(prepared: RunPrepared) -> str:
    """Return `cpu ×1, 2 processes`: the device, for a processor with the number of threads."""
    threads = f" ×{prepared.threads}" if prepared.device == "cpu" else ""
    count = process_count(prepared)
    return safe_text(f"{prepared.device_name}{threads}{f', {count}' if count else ''}", 120)


def loop_text(event: LoopDescribed) -> str:
    """Return `Training loop of Lightning 2.5: 10 epochs, 40 steps per epoch, 4 classes`."""
    framework = safe_text(event.framework, 100)
    name = f"Training loop of {framework}" if framework else "Another training loop"
    parts = [f"{event.epochs:,} epoch{'s' * (event.epochs > 1)}"] if event.epochs else []
    parts += [f"{event.steps_per_epoch:,} steps per epoch"] if event.steps_per_epoch > 1 else []
    parts += [f"{len(event.classes):,} classes"] if event.classes else []
    return name + (f": {', '.join(parts)}" if parts else "")


def tta_text(test: TestFinished) -> str | None:
    """Return `with test-time augmentation (mirror): 90.80%`; None without it."""
    if test.tta_accuracy is None:
        return None
    return f"with test-time augmentation ({safe_text(test.tta)}): {percent(test.tta_accuracy, 2)}"


def best_change_text(saved: CheckpointSaved) -> str:
    """Return `1.2750 → 0.8721`, the best values of the metric; `1.2750` if there is none before.

    Empty if no validation chose the weights. An accuracy is in percent, and an F1 is named.
    """
    if saved.change is None:
        return ""
    metric, (old, new) = best_metric(saved.metric), saved.change
    name = "F1 " if metric is VAL_MACRO_F1 else ""
    before = f"{value_text(metric, old)} → " if math.isfinite(old) else ""
    return f"{name}{before}{value_text(metric, new)}"


COMMANDS = {
    "pause": "paused",
    "unpause": "continuing",
    "stop": "stopping",
    "stop-epoch": "stopping after this epoch",
    "stop-test": "stopping after a test",
    "checkpoint": "checkpoint",
    "lr": "learning rate",
    "epochs": "epochs",
    "detach": "detaching",
}
"""Text of each applied command."""


def command_text(command: CommandApplied) -> str:
    """Return `learning rate 0.0003 (key)`."""
    value = "" if command.value is None else f" {command.value:g}"
    name = COMMANDS.get(command.command, safe_text(command.command))
    return f"{name}{value} ({safe_text(command.by, 20)})"


def alarm_text(alarm: AlarmRaised) -> str:
    """Return the problem and the suggested fix."""
    return f"{safe_text(alarm.text, 1000)}. {safe_text(alarm.advice, 1000)}"


def time_limit_text(end_time: float) -> str:
    """Return `stops at 14:05, time limit`; on another day with the date."""
    is_today = date(end_time)[:10] == date(time.time())[:10]
    return f"stops at {clock(end_time)[:5] if is_today else date(end_time)}, time limit"


def resumed_text(event: RunResumed) -> str:
    """Return `resumed in epoch 3 after step 120, from last.pt`."""
    if not event.seconds:  # never trained before
        return "started in the background"
    origin = f", from {safe_text(event.file)}" if event.file else ""
    if not origin and (event.epoch, event.step) <= (1, 0):
        return "restarted from the beginning, as there was no checkpoint yet"
    return f"resumed {_position(event.epoch, event.step)}{origin}"


def rolled_back_text(event: RolledBack) -> str:
    """Return `before epoch 3, learning rate 0.0005: training loss became nan …`."""
    position = _position(event.epoch, event.step)
    return f"{position}, learning rate {event.lr:g}: {safe_text(event.reason, 500)}"


def _position(epoch: int, step: int) -> str:
    return f"in epoch {epoch} after step {step}" if step else f"before epoch {epoch}"
