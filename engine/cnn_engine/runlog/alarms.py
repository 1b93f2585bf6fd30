"""Detects problems of a run and suggests fixes.

Alarms depend on recent events only, so that their cost does not grow with the run, and on averages
of several events, so that they do not flicker with the noise.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from statistics import median
from typing import Literal

from cnn_engine.runlog.best_metric import VAL_LOSS
from cnn_engine.runlog.events import EpochFinished
from cnn_engine.runlog.roles import LOSS, words_of
from cnn_engine.runlog.series import Series
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

CHANCE_EPOCHS, CHANCE_MIN_STEPS = 3, 30
"""Epochs that are no better than always predicting one class, and steps before the last of them:
in fewer, a good run may have learned nothing yet."""

HUGE_LOSS_FACTOR, MIN_HUGE_LOSS = 10.0, 20.0
"""A loss is huge from this multiple of the loss of guessing, and at least this value: overconfident
models stay below."""

STALL_SECONDS, STALL_STARTING_SECONDS = 30.0, 180.0
"""Maximum time without an event; events normally come twice a second. Starting may take longer:
PyTorch is loaded from disk and images are decoded."""

STALL_FACTOR = 20.0
"""And at least this multiple of the longest recent step event, for models with slow steps."""

STALL_LOOP_SECONDS, STALL_LOOP_FACTOR = 300.0, 5.0
"""Maximum time without a value of another training loop, which may log nothing while it validates,
and a multiple of its longest silence so far, which includes its earlier validations."""

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
    "non-finite",
    "huge loss",
    "chance",
    "spike",
    "plateau",
    "overfitting",
    "stall",
    "slow data",
    "straggler",
    "disk",
    "memory",
]


LOST_POINTS = 2
"""Latest points of a loss that are not finite, after which the weights are taken as unusable."""


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
    """Return a run's alarms, errors first; for a run that has ended, only those of its result.

    Args:
        state: State of the run.
        now: Current time in seconds since 1970.
        live: True if a process is training the run.
    """
    result = _non_finite(state) or _huge_loss(state) or _chance(state)
    found = [result]
    if live and not state.has_ended:
        found += [_disk(state), _memory(state)]
        if not state.paused:
            found += [_stall(state, now), _spike(state), _slow_data(state), _straggler(state)]
            found += [result or _overfitting(state) or _plateau(state)]
    present = dict.fromkeys(alarm for alarm in found if alarm is not None)
    return sorted(present, key=lambda alarm: alarm.severity)


def unwritable_log_alarm(reason: str, advice: str) -> Alarm:
    """Return the alarm for a log that cannot be written, known to the training process only."""
    return Alarm(
        kind="disk",
        severity="error",
        text=f"The log cannot be written: {reason}. Training continues, but this screen "
        "does not update",
        advice=advice,
    )


def _non_finite(state: RunState) -> Alarm | None:
    if not state.is_own and state.series:
        losses = ((name, series) for name, series in state.series.items() if _is_loss(name))
        bad = next((pair for pair in losses if _stays_lost(state, pair[1])), None)
        if bad is None:
            return None
        name, series = bad
        return _non_finite_alarm(state, name, series.last, _lost_epoch(state, series))
    if state.curve and not math.isfinite(state.curve.losses[-1]):
        split, value = "training", state.curve.losses[-1]
    elif state.epochs and not math.isfinite(state.epochs[-1].known_val_loss or 0.0):
        split, value = "validation", state.epochs[-1].val_loss
    elif state.test and state.test.total and not math.isfinite(state.test.loss):
        split, value = "test", state.test.loss
    else:
        return None
    return _non_finite_alarm(state, f"The {split} loss", value, state.epoch)


def _stays_lost(state: RunState, series: Series) -> bool:
    """Return True if a series has ceased to be finite, and not just for a step.

    Loops with 16-bit numbers skip steps in which they overflow.
    """
    if math.isfinite(series.last):
        return False
    if state.loop is None:  # an import, which may have one value per epoch
        return True
    latest = series.curve.losses[-LOST_POINTS:]
    is_lost = len(latest) == LOST_POINTS and not any(map(math.isfinite, latest))
    return is_lost or state.has_ended


def _lost_epoch(state: RunState, series: Series) -> int:
    """Return the epoch in which the last values of a series ceased to be finite; 0 if unknown."""
    curve = series.curve
    if not (curve and state.steps_per_epoch > 0):
        return state.epoch
    index = len(curve) - 1
    while index > 0 and not math.isfinite(curve.losses[index - 1]):
        index -= 1
    return max(1, math.ceil(curve.steps[index] / state.steps_per_epoch))


def _non_finite_alarm(state: RunState, name: str, value: float, number: int) -> Alarm:
    saved = _saved_epoch(state, "; best.pt still holds epoch ")
    epoch = f" in epoch {number}" if number else ""
    return Alarm(
        kind="non-finite",
        severity="error",
        text=f"{name} became {value}{epoch}: the weights are unusable",
        advice=f"Train again with a lower {_lr_text(state)}{saved}",
    )


def _lr_text(state: RunState) -> str:
    """Return the name of the learning rate and its value, if that is known."""
    if state.is_own:
        return f"optimizer.lr than {state.lr or 0:g}"
    return "learning rate" if state.lr is None else f"learning rate than {state.lr:.3g}"


def _huge_loss(state: RunState) -> Alarm | None:
    """Return the alarm for a loss far above that of guessing; the loss of an import may be any."""
    if state.prepared is None:
        return None
    if state.test is not None:
        split, loss = "test", state.test.loss
    elif (latest := next(_newest_validated(state), None)) is not None:
        split, loss = "validation", latest.val_loss
    elif state.epochs:
        split, loss = "training", state.epochs[-1].train_loss
    else:
        return None
    guessing = math.log(max(2, len(state.prepared.classes)))
    if loss < max(MIN_HUGE_LOSS, HUGE_LOSS_FACTOR * guessing):
        return None
    saved = _saved_epoch(state, "; best.pt holds epoch ")
    return Alarm(
        kind="huge loss",
        severity="error",
        text=f"The {split} loss is {loss:.3g}; guessing has {guessing:.2f}: training diverged",
        advice=f"Train again with a lower {_lr_text(state)}{saved}",
    )


@lru_cache(1000)
def _is_loss(name: str) -> bool:
    return not LOSS.isdisjoint(words_of(name))


def _chance(state: RunState) -> Alarm | None:
    """Return the alarm for a model that is no better than one that always gives the same answer."""
    prepared, test, classes = state.prepared, state.test, state.classes
    if not classes:
        return None
    if test is not None:
        split, counts, accuracy = "test", test.total, test.accuracy
        is_chance = _has_classes(counts) and not accuracy > _baseline(counts)
    else:
        split, counts = "validation", prepared.train_counts if prepared else ()
        has_validation = prepared is None or prepared.val_images
        newest = _newest_validated(state) if has_validation else reversed(state.epochs)
        epochs = [*islice(newest, CHANCE_EPOCHS)]
        is_chance = _is_chance(state, epochs)
        accuracy = epochs[0].val_accuracy if epochs else math.nan
        if epochs and _has_classes(epochs[0].total):
            counts = epochs[0].total
        elif epochs:
            split, accuracy = "training", epochs[0].train_accuracy
    if not is_chance or len(counts) != len(classes):
        return None
    answer = classes[counts.index(max(counts))]
    return Alarm(
        kind="chance",
        severity="warning",
        text=f"The {split} accuracy, {accuracy:.1%}, is no better than always answering {answer!r}",
        advice=f"Train again with a lower {'optimizer.lr' if state.is_own else 'learning rate'}, "
        "or check the network and the labels",
    )


def _is_chance(state: RunState, epochs: list[EpochFinished]) -> bool:
    """Return True if the latest epochs are no better than always giving the same answer."""
    if len(epochs) < CHANCE_EPOCHS or state.steps_done < CHANCE_MIN_STEPS:
        return False
    if state.loop:  # the counts of its training images are unknown
        return all(
            _has_classes(epoch.total)
            and epoch.val_accuracy <= _baseline(epoch.total, deviations=1.0)
            for epoch in epochs
        )
    train_counts = state.prepared.train_counts if state.prepared else ()
    if not train_counts:
        return False
    # Training accuracy is above chance long before that of a small validation set is.
    limit = _baseline(train_counts, deviations=3.0)
    return all(
        epoch.train_accuracy <= limit
        and (
            not _has_classes(epoch.total)
            or epoch.val_accuracy <= _baseline(epoch.total, deviations=1.0)
        )
        for epoch in epochs
    )


def _has_classes(counts: Sequence[int]) -> bool:
    """Return True if the images are of several classes: of one, any answer is as good as chance."""
    return sum(map(bool, counts)) > 1


def _baseline(counts: Sequence[int], deviations: float = 0.0) -> float:
    """Return the accuracy of always answering the most frequent class, plus standard deviations."""
    images = max(1, sum(counts))
    share = max(counts) / images
    return share + deviations * math.sqrt(share * (1 - share) / images)


def _newest_validated(state: RunState) -> Iterator[EpochFinished]:
    return (epoch for epoch in reversed(state.epochs) if epoch.is_validated)


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
        text=f"The {state.best_metric.name} has not improved for {since} epochs",
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
    regularization = "a higher model.dropout" if state.is_own else "more regularization"
    return Alarm(
        kind="overfitting",
        severity="warning",
        text=f"The validation loss is {rise:.3f} above {_of_best(state)} epoch {best.epoch}, "
        "while the training loss still falls: the model is overfitting",
        advice=f"Stop{saved}; then try more images or {regularization}",
    )


def _of_best(state: RunState) -> str:
    """Return a text for the validation loss of the best epoch, before the epoch's number."""
    return "its best, of" if state.best_metric is VAL_LOSS else "that of the best"


def _saved_epoch(state: RunState, prefix: str) -> str:
    """Return the prefix and the epoch of `best.pt`; empty if there is none."""
    return f"{prefix}{state.best_checkpoint_epoch}" if state.best_checkpoint_epoch else ""


def _stall(state: RunState, now: float) -> Alarm | None:
    silence = now - state.silence_start
    if state.loop:
        limit = max(STALL_LOOP_SECONDS, STALL_LOOP_FACTOR * state.longest_gap)
    else:
        slowest = max((event.seconds for event in state.recent), default=0.0)
        limit = STALL_STARTING_SECONDS if state.phase == "starting" else STALL_SECONDS
        limit = max(limit, STALL_FACTOR * slowest)
    if state.started is None or silence < limit:
        return None
    if state.loop:
        return Alarm(
            kind="stall",
            severity="warning",
            text=f"No values for {_rounded(silence)}, although the process is alive",
            advice="Check if it validates, sleeps, swaps or waits for a disk",
        )
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
        advice=f"Try {'a smaller data.image_size' if state.is_own else 'more loader workers'}, "
        "or check what else uses the CPU",
    )


def _straggler(state: RunState) -> Alarm | None:
    joined, found = state.joined, state.straggler
    if found is None or joined is None or found[0] >= len(joined.hosts):
        return None
    rank, ratio = found
    host = joined.hosts[rank]
    is_elsewhere = len(set(joined.hosts)) > 1
    device = state.prepared.device if state.prepared else ""
    place = host if is_elsewhere else "the processor" if device == "cpu" else "its GPU"
    return Alarm(
        kind="straggler",
        severity="warning",
        text=f"Process {rank}{f' on {host}' if is_elsewhere else ''} takes {ratio - 1:.0%} longer "
        "for a step; all others wait for it",
        advice=f"Check what else runs on {place}",
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
