"""Events of a run from series of values: a pure function of the series."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from cnn_engine.importers.series import Series
from cnn_engine.runlog.events import EpochFinished, StepsFinished
from cnn_engine.runlog.roles import ROLES, Role

UNKNOWN = float("nan")

MAX_FRACTION = 1.0 + 1e-6
MAX_PERCENT = 100.0 + 1e-4
"""Greatest accuracies, with room for rounding."""


@dataclass
class Timeline:
    """Events of a run, as far as its series contain them."""

    begin: float
    """Time of the first value, in seconds since 1970."""
    end: float
    steps_per_epoch: int
    """Steps between the first two validations; 1 if there was none yet."""
    events: list[StepsFinished | EpochFinished]
    notices: list[str]
    """Assumptions about the values, as sentences."""


def make_timeline(
    series: Mapping[Role, Series], *, steps_are_epochs: bool, ended: bool
) -> Timeline | None:
    """Return the events of a run, or None without a loss and an accuracy.

    A validation is taken as the end of an epoch.

    Args:
        series: Series by role.
        steps_are_epochs: True if every step is an epoch.
        ended: False if the last validation may lack values that are logged later, and is held back.
    """
    notices: list[str] = []
    series = {role: values for role, values in series.items() if len(values)}
    for role in ("train_accuracy", "val_accuracy"):
        if role in series and (fractions := _as_fractions(role, series[role], notices)):
            series[role] = fractions
        else:
            series.pop(role, None)
    if not series.keys() - {"lr"}:
        return None
    if train := series.get("train_loss"):
        series = {role: _moved(role, values, train, notices) for role, values in series.items()}
    return _Merger(series, steps_are_epochs=steps_are_epochs, ended=ended).timeline(notices)


def _as_fractions(role: Role, series: Series, notices: list[str]) -> Series | None:
    """Return accuracies from 0 to 1; None if they are no accuracies."""
    known = [value for value in series.values if math.isfinite(value)]
    highest, lowest = max(known, default=0.0), min(known, default=0.0)
    if highest > MAX_PERCENT or lowest < 0:
        notices.append(
            f"The {ROLES[role]} is not shown: values from {lowest:g} to {highest:g} are neither "
            "fractions nor percentages"
        )
        return None
    if not series.has_percent_sign and highest <= MAX_FRACTION:
        return series
    notices.append(f"The {ROLES[role]} is read as a percentage: values up to {highest:g}")
    return series.scaled(1 / 100)


def _moved(role: Role, series: Series, train: Series, notices: list[str]) -> Series:
    moved = series.moved_to(train)
    if moved is not series:
        notices.append(
            f"The {ROLES[role]} counts epochs and the training loss steps; it is shown at the "
            "training step before it"
        )
    return moved


class _Merger:
    """Merges series by step."""

    def __init__(
        self, series: Mapping[Role, Series], *, steps_are_epochs: bool, ended: bool
    ) -> None:
        self._rows = _rows(series)
        self._steps = sorted(self._rows)
        self._known_validations = {role for role in series if role.startswith("val")}
        self._ended = ended
        validated = [step for step in self._steps if self._is_validated(step)]
        self._steps_per_epoch = 1 if steps_are_epochs else _steps_per_epoch(validated)
        # A validation before the first step says nothing about epochs.
        are_epochs = self._steps_per_epoch == 1 and validated not in ([], [0])
        self._ends_epoch = set(self._steps if steps_are_epochs or are_epochs else validated)
        self._shift = max(0, -self._steps[0])
        if self._steps_per_epoch == 1 and self._ends_epoch:
            self._shift = max(0, 1 - self._steps[0])  # epochs counted from 0
        self._begin = min(time for row in self._rows.values() for time, _ in row.values())

    def timeline(self, notices: list[str]) -> Timeline:
        """Return the events; `notices` are passed on."""
        events = list(self._events())
        times = [time for row in self._rows.values() for time, _ in row.values()]
        return Timeline(self._begin, max(times), self._steps_per_epoch, events, notices)

    def _is_validated(self, step: int) -> bool:
        return not self._known_validations.isdisjoint(self._rows[step])

    def _events(self) -> Iterator[StepsFinished | EpochFinished]:
        lr, last_step, last_time, epoch = UNKNOWN, 0, self._begin, 0
        losses: list[float] = []
        accuracies: list[float] = []
        for step in self._steps:
            row = self._rows[step]
            if found := row.get("lr"):
                lr = found[1]
            if found := row.get("train_accuracy"):
                accuracies.append(found[1])
            if found := row.get("train_loss"):
                time, loss = found
                losses.append(loss)
                yield self._steps_finished(step, found, lr, step - last_step, last_time)
                last_step, last_time = step, max(last_time, time)
            if step in self._ends_epoch and not self._may_be_incomplete(step):
                epoch = max(epoch + 1, round((step + self._shift) / self._steps_per_epoch))
                yield _epoch_finished(epoch, row, last_time, losses, accuracies)
                losses.clear()
                accuracies.clear()

    def _may_be_incomplete(self, step: int) -> bool:
        """Return True if the rest of the validation may be logged later."""
        is_last = step == self._steps[-1]
        return (
            is_last and not self._ended and not self._known_validations <= self._rows[step].keys()
        )

    def _steps_finished(
        self, step: int, found: tuple[float, float], lr: float, steps: int, last_time: float
    ) -> StepsFinished:
        time, loss = found
        step += self._shift
        epoch = (step - 1) // self._steps_per_epoch + 1 if self._ends_epoch and step else 1
        return StepsFinished(
            time=time,
            epoch=epoch,
            step=step - (epoch - 1) * self._steps_per_epoch,
            steps=max(1, steps),
            loss=loss,
            loss_min=loss,
            loss_max=loss,
            lr=lr,
            seconds=max(0.0, time - last_time),
            images=0,
        )


def _rows(series: Mapping[Role, Series]) -> dict[int, dict[Role, tuple[float, float]]]:
    """Return time and value by step and role."""
    rows: dict[int, dict[Role, tuple[float, float]]] = {}
    for role, values in series.items():
        for step, time, value in zip(values.steps, values.times, values.values, strict=True):
            rows.setdefault(step, {})[role] = time, value
    return rows


def _steps_per_epoch(validated: list[int]) -> int:
    if len(validated) > 1:
        return validated[1] - validated[0]
    return max(1, *validated, 1)


def _epoch_finished(
    epoch: int,
    row: Mapping[Role, tuple[float, float]],
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


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else UNKNOWN
