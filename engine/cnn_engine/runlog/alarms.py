"""What a person should be told of a run that does not go as it should, and what to do about it.

Each alarm is judged by what is recent, so a million steps cost no more than a hundred; and by
averages over several events, so that it does not come and go with the noise.
"""

import math
from dataclasses import dataclass
from statistics import median
from typing import Literal

from cnn_engine.runlog.state import RATE_WINDOW, RunState

SPIKE_EVENTS = 40
"""Step events, about 20 s, in which a jump is looked for, and as many before to know the level."""

SPIKE_FACTOR = 2.0
"""A jump is to this many times the level: losses of neighbouring half-seconds differ by far less,
and a loss that doubles has lost what many epochs gained."""

SPIKE_DEVIATIONS = 10.0
"""And this many median deviations above it, so that a noisy loss near zero is no jump."""

SPIKE_LEAST = 0.2
"""And by this much cross-entropy: less changes few predictions, whatever the factor."""

PLATEAU_SHARE, PLATEAU_LEAST, PLATEAU_MOST = 0.25, 10, 20
"""Epochs without a better validation loss that are a plateau: a quarter of those asked for, but
at least 10, as runs that go well wait nine for their next best, and at most 20."""

OVERFITTING_EPOCHS = 3
"""So many epochs in a row have to be worse: one or two are so by chance."""

OVERFITTING_RISE, OVERFITTING_LEAST = 0.05, 0.05
"""By this share of the best validation loss, and by this much cross-entropy: a few images of a
small validation set make a smaller difference."""

STALL_SECONDS, STALL_STARTING_SECONDS = 30.0, 180.0
"""Silence that is too long: events come twice a second. While starting, PyTorch may take its time
to come from a cold disk, and images to be decoded."""

STALL_FACTOR = 20.0
"""And this many times the longest of the recent step events, where single steps take long."""

SLOW_DATA_SHARE = 0.4
"""Share of the time of steps that making batches may take; on a machine that is well used it is
under a tenth."""

DISK_LEAST_BYTES = 1_000_000_000
"""Room below which other programs, too, begin to fail."""

DISK_CHECKPOINTS, CHECKPOINT_BYTES = 4, 12
"""And room for so many checkpoints: best, last, the one before, and a new one before it replaces
another; each has about three 4-byte numbers for every parameter of the model."""

MEMORY_LEAST_SHARE = 0.05
"""Share of the memory below which the system begins to swap, or to end programs."""

Kind = Literal[
    "non-finite", "spike", "plateau", "overfitting", "stall", "slow data", "disk", "memory"
]


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """One thing that is amiss."""

    kind: Kind
    severity: Literal["error", "warning"]
    """Whether the run may be lost if nothing is done, or is merely not as good as it could be."""

    text: str
    """What is amiss, in a sentence."""

    advice: str
    """What to do about it, in a sentence."""


def find_alarms(state: RunState, now: float, live: bool) -> list[Alarm]:
    """What is amiss with a run, the worst first. Of one that has ended, only what spoiled it.

    Args:
        state: The run.
        now: In seconds since 1970.
        live: Whether a process trains it.
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
    """What only the process that trains can tell, as the log is what the others read."""
    return Alarm(
        kind="disk",
        severity="error",
        text=f"The log cannot be written: {reason}. Training goes on, and what happens meanwhile "
        "is kept and written later; this screen stands still",
        advice="Make room on the disk",
    )


def _non_finite(state: RunState) -> Alarm | None:
    if state.curve and not math.isfinite(state.curve.losses[-1]):
        what, value = "training", state.curve.losses[-1]
    elif (
        state.epochs
        and state.epochs[-1].is_validated
        and not math.isfinite(state.epochs[-1].val_loss)
    ):
        what, value = "validation", state.epochs[-1].val_loss
    else:
        return None
    kept = (
        f"; best.pt still holds epoch {state.best_checkpoint_epoch}"
        if state.best_checkpoint_epoch
        else ""
    )
    return Alarm(
        kind="non-finite",
        severity="error",
        text=f"The {what} loss became {value} in epoch {state.epoch}: the weights are spoiled",
        advice=f"Train again with a lower optimizer.lr than {state.lr or 0:g}{kept}",
    )


def _spike(state: RunState) -> Alarm | None:
    losses = state.curve.losses[-2 * SPIKE_EVENTS :]
    before, recent = losses[:SPIKE_EVENTS], losses[SPIKE_EVENTS:]
    if len(recent) < SPIKE_EVENTS or not all(map(math.isfinite, losses)):
        return None
    level, highest = median(before), max(recent)
    deviation = median(abs(loss - level) for loss in before)
    limit = max(SPIKE_FACTOR * level, level + SPIKE_DEVIATIONS * deviation, level + SPIKE_LEAST)
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
    share = int(PLATEAU_SHARE * state.total_epochs)
    patience = min(max(share, PLATEAU_LEAST), PLATEAU_MOST)
    since = state.epochs[-1].epoch - state.best.epoch
    if since < patience:
        return None
    kept = (
        f": best.pt holds epoch {state.best_checkpoint_epoch}"
        if state.best_checkpoint_epoch
        else ""
    )
    return Alarm(
        kind="plateau",
        severity="warning",
        text=f"The validation loss has not improved for {since} epochs",
        advice=f"Lower the learning rate, or stop{kept}",
    )


def _overfitting(state: RunState) -> Alarm | None:
    best, latest = state.best, state.epochs[-OVERFITTING_EPOCHS:]
    if best is None or latest[-1].epoch - best.epoch < OVERFITTING_EPOCHS:
        return None
    limit = best.val_loss + max(OVERFITTING_RISE * best.val_loss, OVERFITTING_LEAST)
    worse = all(epoch.val_loss > limit for epoch in latest)
    learned = all(epoch.train_loss < best.train_loss for epoch in latest)
    if not (worse and learned):
        return None
    rise = latest[-1].val_loss - best.val_loss
    kept = (
        f", as best.pt holds epoch {state.best_checkpoint_epoch}"
        if state.best_checkpoint_epoch
        else ""
    )
    return Alarm(
        kind="overfitting",
        severity="warning",
        text=f"The validation loss is {rise:.3f} above its best, of epoch {best.epoch}, "
        "while the training loss still falls: the model learns its images by heart",
        advice=f"Stop{kept}; then try more images or more model.dropout",
    )


def _stall(state: RunState, now: float) -> Alarm | None:
    silence = now - state.last_time
    limit = STALL_STARTING_SECONDS if state.phase == "starting" else STALL_SECONDS
    slowest = max((event.seconds for event in state.recent), default=0.0)
    if state.started is None or silence < max(limit, STALL_FACTOR * slowest):
        return None
    return Alarm(
        kind="stall",
        severity="error",
        text=f"Nothing has been heard of the run for {_about(silence)}, though its process lives",
        advice="Look whether the machine sleeps, swaps or waits for a disk; else stop and restart",
    )


def _about(seconds: float) -> str:
    """A duration that seldom changes, as what shows it is painted again whenever it does."""
    if seconds < 60:
        return f"{seconds // 10 * 10:.0f} s"
    minutes = seconds // 60
    return f"{minutes:.0f} min" if minutes < 60 else f"{minutes // 60:.0f} h"


def _slow_data(state: RunState) -> Alarm | None:
    seconds = sum(event.seconds for event in state.recent)
    share = sum(event.data_seconds for event in state.recent) / seconds if seconds > 0 else 0.0
    if len(state.recent) < RATE_WINDOW or share < SLOW_DATA_SHARE:
        return None
    return Alarm(
        kind="slow data",
        severity="warning",
        text=f"Making batches takes {share:.0%} of the training time",
        advice="Try a smaller data.image_size, or see what else keeps the processor busy",
    )


def _disk(state: RunState) -> Alarm | None:
    parameters = state.prepared.parameters if state.prepared else 0
    needed = max(DISK_LEAST_BYTES, DISK_CHECKPOINTS * CHECKPOINT_BYTES * parameters)
    if state.machine is None or state.machine.disk_free_bytes >= needed:
        return None
    return Alarm(
        kind="disk",
        severity="error",
        text=f"The disk of the run has only {state.machine.disk_free_bytes / 1e6:,.0f} MB left",
        advice="Make room, or checkpoints will not be saved",
    )


def _memory(state: RunState) -> Alarm | None:
    machine = state.machine
    if machine is None or machine.memory_total_bytes == 0:
        return None
    if machine.memory_available_bytes >= MEMORY_LEAST_SHARE * machine.memory_total_bytes:
        return None
    return Alarm(
        kind="memory",
        severity="error",
        text=f"The machine has only {machine.memory_available_bytes / 1e6:,.0f} MB of memory left",
        advice="Close other programs, or the system may end the run; it holds "
        f"{machine.memory_bytes / 1e6:,.0f} MB itself",
    )
