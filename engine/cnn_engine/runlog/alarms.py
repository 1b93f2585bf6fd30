"""Detects problems of a run and suggests fixes.

Alarms depend on recent events only, so that their cost does not grow with the run, and on averages
of several events, so that they do not flicker with the noise.
"""

import math
from dataclasses import dataclass
from statistics import median
from typing import Literal

from cnn_engine.runlog.state import RATE_WINDOW, RunState

SPIKE_EVENTS = 40
"""Step events (about 20 s) that are searched for a jump, and number of events before them that
define the level."""

SPIKE_FACTOR = 2.0
"""A jump reaches at least this multiple of the level: losses of neighbouring half-seconds differ by
far less, and a loss that doubles undoes many epochs."""

SPIKE_DEVIATIONS = 10.0
"""And by this many median absolute deviations, so that noise near zero is not a jump."""

SPIKE_MIN_RISE = 0.2
"""And by this much cross-entropy, because less changes few predictions."""

PLATEAU_FRACTION, PLATEAU_MIN_EPOCHS, PLATEAU_MAX_EPOCHS = 0.25, 10, 20
"""A plateau is this fraction of the planned epochs without a lower validation loss, but at least
10, because good runs wait up to nine epochs for their next best one, and at most 20."""

OVERFITTING_EPOCHS = 3
"""Number of consecutive worse epochs; one or two happen by chance."""

OVERFITTING_RELATIVE_RISE, OVERFITTING_MIN_RISE = 0.05, 0.05
"""Rise relative to the best validation loss, and in cross-entropy: a few images of a small
validation set make a smaller difference."""

STALL_SECONDS, STALL_STARTING_SECONDS = 30.0, 180.0
"""Maximum time without an event; events normally come twice a second. Starting may take longer:
PyTorch is loaded from disk and images are decoded."""

STALL_FACTOR = 20.0
"""And at least this multiple of the longest recent step event, for models with slow steps."""

SLOW_DATA_FRACTION = 0.4
"""Maximum fraction of the step time spent on making batches; normally it is below a tenth."""

MIN_DISK_BYTES = 1_000_000_000
"""Free space below which other programs begin to fail, too."""

DISK_CHECKPOINTS, CHECKPOINT_BYTES = 4, 12
"""And space for this many checkpoints (best, last, previous, and a new one before it replaces
another) of this many bytes per parameter: three float32 values."""

MIN_MEMORY_FRACTION = 0.05
"""Fraction of the memory below which the system starts to swap or to kill programs."""

Kind = Literal[
    "non-finite", "spike", "plateau", "overfitting", "stall", "slow data", "disk", "memory"
]


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """A problem of a run."""

    kind: Kind
    severity: Literal["error", "warning"]
    """`error`: the run may be lost if nothing is done; `warning`: it could be better."""

    text: str
    """The problem, as a sentence."""

    advice: str
    """Suggested fix, as a sentence."""


def find_alarms(state: RunState, now: float, live: bool) -> list[Alarm]:
    """Return a run's alarms, errors first; for a run that has ended, only non-finite values.

    Args:
        state: State of the run.
        now: Current time in seconds since 1970.
        live: True if a process is training the run.
    """
    found = [_non_finite(state)]
    if live and not state.has_ended:
        found += [_disk(state), _memory(state)]
        if not state.paused:
            found += [_stall(state, now), _spike(state), _overfitting(state) or _plateau(state)]
            found += [_slow_data(state)]
    present = [alarm for alarm in found if alarm is not None]
    return sorted(present, key=lambda alarm: alarm.severity)


def unwritable_log_alarm(reason: str) -> Alarm:
    """Return the alarm for a log that cannot be written, known to the training process only."""
    return Alarm(
        kind="disk",
        severity="error",
        text=f"The log cannot be written: {reason}. Training continues, and its events are written "
        "later; this screen does not update",
        advice="Free disk space",
    )


def _non_finite(state: RunState) -> Alarm | None:
    if state.curve and not math.isfinite(state.curve.losses[-1]):
        split, value = "training", state.curve.losses[-1]
    elif (
        state.epochs
        and state.epochs[-1].is_validated
        and not math.isfinite(state.epochs[-1].val_loss)
    ):
        split, value = "validation", state.epochs[-1].val_loss
    else:
        return None
    saved = _saved_epoch(state, "; best.pt still holds epoch ")
    return Alarm(
        kind="non-finite",
        severity="error",
        text=f"The {split} loss became {value} in epoch {state.epoch}: the weights are unusable",
        advice=f"Train again with a lower optimizer.lr than {state.lr or 0:g}{saved}",
    )


def _spike(state: RunState) -> Alarm | None:
    losses = state.curve.losses[-2 * SPIKE_EVENTS :]
    before, recent = losses[:SPIKE_EVENTS], losses[SPIKE_EVENTS:]
    if len(recent) < SPIKE_EVENTS or not all(map(math.isfinite, losses)):
        return None
    level, highest = median(before), max(recent)
    deviation = median(abs(loss - level) for loss in before)
    limit = max(SPIKE_FACTOR * level, level + SPIKE_DEVIATIONS * deviation, level + SPIKE_MIN_RISE)
    if highest <= limit:
        return None
    return Alarm(
        kind="spike",
        severity="warning",
        text=f"The training loss jumped from about {level:.4f} to {highest:.4f}",
        advice="It often recovers within an epoch; if it does not, lower the learning rate",
    )


def _plateau(state: RunState) -> Alarm | None:
    if state.best is None:
        return None
    epochs = int(PLATEAU_FRACTION * state.total_epochs)
    patience = min(max(epochs, PLATEAU_MIN_EPOCHS), PLATEAU_MAX_EPOCHS)
    since = state.epochs[-1].epoch - state.best.epoch
    if since < patience:
        return None
    saved = _saved_epoch(state, ": best.pt holds epoch ")
    return Alarm(
        kind="plateau",
        severity="warning",
        text=f"The validation loss has not improved for {since} epochs",
        advice=f"Lower the learning rate, or stop{saved}",
    )


def _overfitting(state: RunState) -> Alarm | None:
    best, latest = state.best, state.epochs[-OVERFITTING_EPOCHS:]
    if best is None or latest[-1].epoch - best.epoch < OVERFITTING_EPOCHS:
        return None
    limit = best.val_loss + max(OVERFITTING_RELATIVE_RISE * best.val_loss, OVERFITTING_MIN_RISE)
    worse = all(epoch.val_loss > limit for epoch in latest)
    learned = all(epoch.train_loss < best.train_loss for epoch in latest)
    if not (worse and learned):
        return None
    rise = latest[-1].val_loss - best.val_loss
    saved = _saved_epoch(state, ", as best.pt holds epoch ")
    return Alarm(
        kind="overfitting",
        severity="warning",
        text=f"The validation loss is {rise:.3f} above its best, of epoch {best.epoch}, "
        "while the training loss still falls: the model is overfitting",
        advice=f"Stop{saved}; then try more images or a higher model.dropout",
    )


def _saved_epoch(state: RunState, prefix: str) -> str:
    """Return the prefix and the epoch of `best.pt`; empty if there is none."""
    return f"{prefix}{state.best_checkpoint_epoch}" if state.best_checkpoint_epoch else ""


def _stall(state: RunState, now: float) -> Alarm | None:
    silence = now - state.last_time
    limit = STALL_STARTING_SECONDS if state.phase == "starting" else STALL_SECONDS
    slowest = max((event.seconds for event in state.recent), default=0.0)
    if state.started is None or silence < max(limit, STALL_FACTOR * slowest):
        return None
    return Alarm(
        kind="stall",
        severity="error",
        text=f"No events for {_rounded(silence)}, although the process is alive",
        advice="Check if the machine sleeps, swaps or waits for a disk; otherwise stop and restart",
    )


def _rounded(seconds: float) -> str:
    """Return a coarse duration, so that the text on screen rarely changes."""
    if seconds < 60:
        return f"{seconds // 10 * 10:.0f} s"
    minutes = seconds // 60
    return f"{minutes:.0f} min" if minutes < 60 else f"{minutes // 60:.0f} h"


def _slow_data(state: RunState) -> Alarm | None:
    seconds = sum(event.seconds for event in state.recent)
    data_seconds = sum(event.data_seconds for event in state.recent)
    fraction = data_seconds / seconds if seconds > 0 else 0.0
    if len(state.recent) < RATE_WINDOW or fraction < SLOW_DATA_FRACTION:
        return None
    return Alarm(
        kind="slow data",
        severity="warning",
        text=f"Making batches takes {fraction:.0%} of the training time",
        advice="Try a smaller data.image_size, or check what else uses the CPU",
    )


def _disk(state: RunState) -> Alarm | None:
    parameters = state.prepared.parameters if state.prepared else 0
    needed = max(MIN_DISK_BYTES, DISK_CHECKPOINTS * CHECKPOINT_BYTES * parameters)
    if state.machine is None or state.machine.disk_free_bytes >= needed:
        return None
    return Alarm(
        kind="disk",
        severity="error",
        text=f"The run's disk has only {state.machine.disk_free_bytes / 1e6:,.0f} MB left",
        advice="Free disk space, or checkpoints cannot be saved",
    )


def _memory(state: RunState) -> Alarm | None:
    machine = state.machine
    if machine is None or machine.memory_total_bytes == 0:
        return None
    if machine.memory_available_bytes >= MIN_MEMORY_FRACTION * machine.memory_total_bytes:
        return None
    return Alarm(
        kind="memory",
        severity="error",
        text=f"The machine has only {machine.memory_available_bytes / 1e6:,.0f} MB of memory left",
        advice="Close other programs, or the system may kill the run, which uses "
        f"{machine.memory_bytes / 1e6:,.0f} MB",
    )
