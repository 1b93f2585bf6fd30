"""Events of a run from the series that have a role: a pure function of the series."""

import math
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from cnn_engine.importers.series import Series
from cnn_engine.runlog.events import EpochFinished, StepsFinished
from cnn_engine.runlog.position import position_of
from cnn_engine.runlog.roles import MAX_FRACTION, MAX_PERCENT, ROLES, Role
from cnn_engine.texts import listed

UNKNOWN = float("nan")

MAX_LATE = 0.1
"""Part of an epoch by which a validation may follow the epoch that it belongs to."""

MAX_POINTS = 50_000
"""Steps with values that are written one by one; of more, neighbors are merged."""

MAX_VALUES = 1 << 20
"""Values of all series that are written one by one."""

Found = tuple[float, float]
"""Time and value."""


@dataclass(frozen=True)
class Layout:
    """Positions of the steps of a log in the run."""

    steps_per_epoch: int
    """Steps of an epoch; 1 if they are not known yet."""
    has_epochs: bool
    """False if all steps are of one epoch."""
    shift: int
    """Added to the steps of the log, so that epochs count from 1 and no step is negative."""
    merged: int
    """Neighboring steps that share an event, a power of 2."""

    def position(self, step: int) -> tuple[int, int]:
        """Return the epoch, and the step within it, of a step of the log."""
        step += self.shift
        return position_of(step, self.steps_per_epoch) if self.has_epochs else (1, step)


@dataclass
class Timeline:
    """Events of a run, as far as its series contain them, and all of its series."""

    begin: float
    """Time of the first value, in seconds since 1970."""
    end: float
    layout: Layout
    ends: Sequence[int]
    """Last of the steps that share an event, of the log."""
    events: list[tuple[int, StepsFinished | EpochFinished]]
    """Steps of the log and their events, in order."""
    series: Mapping[str, Series]
    """All series by name, with the steps of the training loss if those count epochs."""
    roles: Mapping[Role, str]
    """Names of the series that are used, by role."""
    notices: list[str]
    """Assumptions about the values, as sentences."""


def make_timeline(
    series: Mapping[str, Series],
    roles: Mapping[Role, str],
    *,
    steps_are_epochs: bool,
    steps_per_epoch: int = 0,
    ended: bool,
) -> Timeline | None:
    """Return the events of a run, or None without any values.

    A validation is taken as the end of an epoch.

    Args:
        series: All series by name.
        roles: Names of series by role.
        steps_are_epochs: True if every step is an epoch.
        steps_per_epoch: Length of an epoch if the log tells it; 0 if not.
        ended: False if the last validation may lack values that are logged later, and is held back.
    """
    notices: list[str] = []
    series = {name: values for name, values in series.items() if len(values)}
    if not series:
        return None
    roles = {role: name for role, name in roles.items() if name in series}
    series = _with_steps_of_training(series, roles, notices)
    used: dict[Role, Series] = {}
    for role, name in roles.items():
        values: Series | None = series[name]
        if role.endswith("accuracy"):
            values = _as_fractions(role, name, series[name], notices)
        if values is not None:
            used[role] = values
    ticks = sorted(set[int]().union(*(values.steps for values in series.values())))
    merged = 1
    total = sum(map(len, series.values()))
    while len(ticks) > merged * MAX_POINTS or total > merged * MAX_VALUES:
        merged *= 2
    ends = ticks[merged - 1 :: merged]
    if ended and ticks[-1] != (ends[-1] if ends else None):
        ends.append(ticks[-1])
    merger = _Merger(
        used, ticks, ends, steps_are_epochs=steps_are_epochs, ended=ended, merged=merged,
        steps_per_epoch=steps_per_epoch,
    )  # fmt: skip
    times = [time for values in series.values() for time in (min(values.times), max(values.times))]
    begin, end = min(times), max(times)
    events = list(merger.events(begin))
    return Timeline(
        begin=begin,
        end=end,
        layout=merger.layout,
        ends=ends,
        events=events,
        series=series,
        roles={role: roles[role] for role in used if events},
        notices=notices,
    )


def _as_fractions(role: Role, name: str, series: Series, notices: list[str]) -> Series | None:
    """Return accuracies from 0 to 1; None if they are no accuracies."""
    known = [value for value in series.values if math.isfinite(value)]
    highest, lowest = max(known, default=0.0), min(known, default=0.0)
    if highest > MAX_PERCENT or lowest < 0:
        notices.append(
            f"{name} is not used as {ROLES[role]}: values from {lowest:g} to {highest:g} are "
            "neither fractions nor percentages"
        )
        return None
    if not series.has_percent_sign and highest <= MAX_FRACTION:
        return series
    notices.append(f"The {ROLES[role]} is read as a percentage: values up to {highest:g}")
    return series.divided(100)


def _with_steps_of_training(
    series: Mapping[str, Series], roles: Mapping[Role, str], notices: list[str]
) -> dict[str, Series]:
    """Return the series; those that count epochs have the steps of the training loss."""
    if "train_loss" not in roles:
        return dict(series)
    train = series[roles["train_loss"]]
    found = {name: values.moved_to(train) for name, values in series.items()}
    moved = [name for name in series if found[name] is not series[name]]
    if moved:
        subject = f"{listed(moved)} {'counts' if len(moved) == 1 else 'count'} epochs and"
        notices.append(
            f"{subject} the training loss steps: shown at the training step before each value"
        )
    return found


class _Merger:
    """Merges the series with a role by step."""

    def __init__(  # noqa: PLR0913 - as `make_timeline`
        self,
        series: Mapping[Role, Series],
        ticks: Sequence[int],
        ends: Sequence[int],
        *,
        steps_are_epochs: bool,
        steps_per_epoch: int,
        ended: bool,
        merged: int,
    ) -> None:
        has_more = bool(series.keys() - {"lr"})
        self._rows = _rows(series) if has_more else {}
        self._steps = sorted(self._rows)
        self._known_validations = {role for role in series if role.startswith("val")}
        self._ended = ended
        self._ends = ends
        validated = [step for step in self._steps if self._is_validated(step)]
        length = 1 if steps_are_epochs else _steps_per_epoch(validated, steps_per_epoch)
        # A validation before the first step says nothing about epochs.
        are_epochs = length == 1 and validated not in ([], [0])
        self._ends_epoch = set(self._steps if steps_are_epochs or are_epochs else validated)
        self._has_known_length = bool(steps_per_epoch) and length == steps_per_epoch
        if self._has_known_length:
            last_steps = _last_steps(self._steps, length, ticks[-1])
            for step in validated:
                last_steps.pop(_epoch_of(step, length), None)
            self._ends_epoch |= set(last_steps.values())
        shift = max(0, -ticks[0])
        if length == 1 and (self._ends_epoch or steps_are_epochs):
            lowest = self._steps[0] if self._steps else ticks[0]
            shift = max(shift, 1 - lowest)  # epochs counted from 0
        has_epochs = bool(self._ends_epoch) or steps_are_epochs or bool(steps_per_epoch)
        self.layout = Layout(length, has_epochs, shift, merged)

    def events(self, begin: float) -> Iterator[tuple[int, StepsFinished | EpochFinished]]:
        """Yield steps and events; `begin` is the time of the first value."""
        lr, last_step, last_time, epoch = UNKNOWN, 0, begin, 0
        losses: list[float] = []
        accuracies: list[float] = []
        pending: list[Found] = []
        for step in self._complete_steps():
            row = self._rows[step]
            if found := row.get("lr"):
                lr = found[1]
            if found := row.get("train_accuracy"):
                accuracies.append(found[1])
            if found := row.get("train_loss"):
                losses.append(found[1])
                pending.append(found)
                pending_step = step
            ends_epoch = step in self._ends_epoch and not self._may_be_incomplete(step)
            if pending and (ends_epoch or self._ends_event(step)):
                steps = pending_step - last_step
                yield (
                    pending_step,
                    self._steps_finished(pending_step, pending, lr, steps, last_time),
                )
                last_step, last_time = pending_step, max(last_time, pending[-1][0])
                pending.clear()
            if ends_epoch:
                epoch = max(epoch + 1, self._number(step))
                finished = _epoch_finished(epoch, row, last_time, losses, accuracies)
                yield step, finished
                last_time = max(last_time, finished.time)
                losses.clear()
                accuracies.clear()

    def _complete_steps(self) -> Iterator[int]:
        """Yield the steps except those whose event is not complete yet."""
        last = self._ends[-1] if self._ends else -math.inf
        return (step for step in self._steps if step <= last)

    def _ends_event(self, step: int) -> bool:
        """Return True unless the event of this step has later steps, too."""
        if self.layout.merged == 1:
            return True
        end = self._ends[bisect_left(self._ends, step)]
        following = bisect_left(self._steps, step + 1)
        return following == len(self._steps) or self._steps[following] > end

    def _number(self, step: int) -> int:
        """Return the number of the epoch that ends with a step."""
        length = self.layout.steps_per_epoch
        if self._has_known_length:
            return _epoch_of(step + self.layout.shift, length)
        return round((step + self.layout.shift) / length)

    def _is_validated(self, step: int) -> bool:
        return not self._known_validations.isdisjoint(self._rows[step])

    def _may_be_incomplete(self, step: int) -> bool:
        """Return True if the rest of the validation may be logged later."""
        is_last = step == self._steps[-1]
        return (
            is_last and not self._ended and not self._known_validations <= self._rows[step].keys()
        )

    def _steps_finished(
        self, step: int, found: Sequence[Found], lr: float, steps: int, last_time: float
    ) -> StepsFinished:
        time, loss = found[-1]
        losses = [value for _, value in found]
        finite = [value for value in losses if math.isfinite(value)]
        if len(finite) == len(losses) > 1:
            loss = _mean(losses)
        elif len(losses) > 1:
            loss = next(value for value in losses if not math.isfinite(value))
        epoch, local_step = self.layout.position(step)
        return StepsFinished(
            time=time,
            epoch=epoch,
            step=local_step,
            steps=max(1, steps),
            loss=loss,
            loss_min=min(finite, default=loss),
            loss_max=max(finite, default=loss),
            lr=lr,
            seconds=max(0.0, time - last_time),
            images=0,
        )


def _rows(series: Mapping[Role, Series]) -> dict[int, dict[Role, Found]]:
    """Return time and value by step and role."""
    rows: dict[int, dict[Role, Found]] = {}
    for role, values in series.items():
        for step, time, value in zip(values.steps, values.times, values.values, strict=True):
            rows.setdefault(step, {})[role] = time, value
    return rows


def _steps_per_epoch(validated: list[int], known: int) -> int:
    """Return the steps of an epoch; 1 if they are not known.

    Args:
        validated: Steps with a validation.
        known: Length that the log tells, or 0. It is not used if an epoch of this length has two
            validations, or if one precedes the first epoch.
    """
    epochs = [_epoch_of(step, known) for step in validated] if known else []
    if known and len(set(epochs)) == len(epochs) and 0 not in epochs:
        return known
    if len(validated) > 1:
        return validated[1] - validated[0]
    return max([1, *validated])


def _epoch_of(step: int, length: int) -> int:
    """Return the epoch with a validation, of a length that may be rounded."""
    return math.ceil(step / length - MAX_LATE)


def _last_steps(steps: Sequence[int], length: int, last: int) -> dict[int, int]:
    """Return the last step of each epoch that the log, up to its last step, has passed."""
    by_epoch = {(step - 1) // length + 1: step for step in steps if step > 0}
    return {epoch: step for epoch, step in by_epoch.items() if epoch * length <= last}


def _epoch_finished(
    epoch: int,
    row: Mapping[Role, Found],
    trained_at: float,
    losses: list[float],
    accuracies: list[float],
) -> EpochFinished:
    """Return the end of an epoch.

    Args:
        epoch: Number of the epoch.
        row: Time and value of the validation by role; without one the epoch was not validated.
        trained_at: Time of the last training step.
        losses: Training losses of the epoch.
        accuracies: Training accuracies of the epoch.
    """
    val_loss, val_accuracy = row.get("val_loss"), row.get("val_accuracy")
    time = next((found[0] for found in (val_loss, val_accuracy) if found), trained_at)
    return EpochFinished(
        time=time,
        epoch=epoch,
        train_loss=_mean(losses),
        train_accuracy=_mean(accuracies),
        val_loss=val_loss[1] if val_loss else UNKNOWN,
        correct=(),
        total=(),
        train_seconds=0.0,
        val_seconds=max(0.0, time - trained_at),
        accuracy=val_accuracy[1] if val_accuracy else None,
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else UNKNOWN
