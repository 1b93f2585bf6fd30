"""Makes the events of a run from what its loop does; reads no clock and no device."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from cnn_engine.runlog.events import ConfigReplaced, Event, LoopDescribed
from cnn_engine.runlog.roles import ROLES, Role
from cnn_engine.texts import listed
from cnn_engine.tracking.entries import (
    Entry,
    EpochBegun,
    EpochEnded,
    Logged,
    PassBegun,
    PassSkipped,
    Validated,
)
from cnn_engine.tracking.epoch_length import EpochLength
from cnn_engine.tracking.epoch_values import VALIDATION_ROLES, EpochValues, Percent
from cnn_engine.tracking.given_positions import without_impossible
from cnn_engine.tracking.loop_control import LoopControl
from cnn_engine.tracking.position import EpochNumbers, place
from cnn_engine.tracking.series_names import SeriesNames, Shape
from cnn_engine.tracking.value_log import ValueLog

IDLE_SECONDS = 1.0
"""Time after the last value of a validation after which it is taken as complete."""

FREE_EPOCHS = 1000
EPOCH_SECONDS = 0.25
"""After `FREE_EPOCHS` epochs, epochs that follow another one sooner are not recorded."""


class LoopLog:
    """Counts the steps and epochs of a loop, and records its events.

    An epoch ends, by the first of these that the loop has: where `epochs` says so, where a logged
    `epoch` increases, where `steps` begins another pass, after `steps_per_epoch` steps, or before
    the first step after a validation. A validation before the second step tells nothing, unless
    each step has one.
    """

    def __init__(  # noqa: PLR0913 - the state of the run so far
        self,
        record: Callable[[Event], None],
        control: LoopControl,
        *,
        steps_per_epoch: int = 0,
        length_is_given: bool = False,
        roles: Mapping[Role, str] | None = None,
        preset: str = "",
        framework: str = "",
        step: int = 0,
        finished_epochs: int = 0,
        is_percent: bool = False,
    ) -> None:
        """Begin a session.

        Args:
            record: Records an event.
            control: The commands that the loop obeys, its planned epochs and its learning rate.
            steps_per_epoch: 0 if unknown.
            length_is_given: True if the user gives that number, so that it ends epochs.
            roles: Series by role instead of the guessed ones.
            preset: What is trained.
            framework: Name and version of the framework with the loop.
            step: Steps of earlier sessions.
            finished_epochs: Epochs that earlier sessions finished.
            is_percent: True if their accuracies were in percent.
        """
        self._record, self._control = record, control
        self.warn: Callable[[str, str], None] = lambda subject, text: None  # noqa: ARG005
        """Receives the subject of a problem, and its text as a sentence."""
        self._preset, self._framework = preset, framework
        self.classes: tuple[str, ...] = ()
        self.new_config: dict[str, Any] | None = None
        """Config that is to be recorded; None if it is."""
        self.steps_per_epoch, self._length_is_given = steps_per_epoch, length_is_given
        self._described: dict[str, Any] = {}
        self._names = SeriesNames(roles or {})
        self._value_log = ValueLog(record, self._names, step)
        self.step, self.epoch, self.finished = step, finished_epochs, finished_epochs
        self._epoch_numbers = EpochNumbers(finished_epochs)
        self._counts_from_0 = False
        self._trained_step = self._given_step = step
        """Greatest number of a step that the loop gave."""
        self._is_over_early = False
        """True if the loop was stopped, so that no other epoch begins."""
        self._uses_epochs = self._has_epoch_numbers = self._has_trained = False
        self._passes = self._pass_length = 0
        self._epoch_step = step
        """Steps before this epoch."""
        self._length = EpochLength(step)
        self._early: EpochValues | None = None
        """The first epoch, if it was validated after its first step, until the second tells whether
        it has just that one."""
        self._values = EpochValues(control.clock())
        self._known_parts: frozenset[str] = frozenset()
        self._not_finite: set[str] = set()
        """Series with a value that was not finite."""
        self._percent = Percent(is_percent=is_percent)
        self._last_time = self._values.began
        self._last_epoch_time = 0.0

    def add(self, entry: Entry) -> None:
        """Add what the loop has done beside logging values."""
        self._last_time = entry.time
        match entry:
            case EpochBegun():
                self._uses_epochs = True
                self._begin(entry.epoch, entry.time)
            case EpochEnded():
                if entry.is_complete or self._values.has_validation:
                    self._end(entry.time)
            case PassBegun():
                self._begin_pass(entry)
            case PassSkipped():
                self._is_over_early = True
                if self._values.is_empty:
                    self.epoch = self.finished
            case Validated():
                self._values.add_counts(entry.counts)

    def log(self, entry: Logged, values: Mapping[str, float]) -> None:
        """Add values that the loop has logged.

        Args:
            entry: The call of `log`.
            values: Its numbers, with those that were read from a device.
        """
        time, last_time = entry.time, self._last_time
        self._last_time = time
        shape = self._names.shape(values)
        if entry.step is not None or shape.step_name or shape.epoch_name:
            entry, values = without_impossible(entry, values, self.warn)
            shape = self._names.shape(values)
        trains = shape.trains and entry.is_step
        step = self._next_step(entry, values.get(shape.step_name), is_step=trains)
        number = 0
        if shape.epoch_name:
            number = self._epoch_numbers.number(values[shape.epoch_name])
            self._has_epoch_numbers |= number > 0 and trains
        if not (self._uses_epochs or self._is_over_early):
            # A loop that logs validations only does so at the end of its epochs.
            began = time if trains or self._has_trained else last_time
            self._begin_epoch_of(step, number, began, trains=trains, shape=shape)
        if shape.validates and (number or self._control.epochs):
            self._values.note_validation(name for name, _ in shape.series)
        is_lost = not math.isfinite(sum(values.values())) and self._find_not_finite(values, step)
        if is_lost:  # so that their event has this step alone
            self._record_values()
        self.step = max(self.step, step)
        if trains:
            self._has_trained, self._trained_step = True, self.step
        window = self._value_log.window
        for name, role in shape.series:
            value = values[name]
            window.add(name, value)
            if role is not None:
                self._add_role(role, value, time)
        if is_lost:
            self._record_values()

    def flush(self, now: float) -> None:
        """Record the values since the last call, and the epoch if it seems complete."""
        self.describe()
        self._record_values()
        is_idle = now - self._last_time >= IDLE_SECONDS and bool(self._known_parts)
        if is_idle and self._is_at_end() and self._known_parts <= self._values.parts:
            self._end(self._last_time)
        for role, names in self._names.unclear.items():
            text = f"Not clear which series is the {ROLES[role]}: {listed(names)}; choose with "
            self.warn(f"role {role}", f"{text}init(roles={{{role!r}: NAME}})")

    def finish(self, now: float, *, is_complete: bool) -> None:
        """Record the rest.

        Args:
            now: The time.
            is_complete: True if the loop came to its end.
        """
        has_numbers = self._has_epoch_numbers or not self._has_trained
        is_over = has_numbers or self._passes > 0 or self._is_over()
        is_over &= is_complete and not self._uses_epochs and not self._values.is_empty
        self._end_early()
        is_open = self.epoch > self.finished or not self._has_trained
        if is_open and (is_over or self._values.has_validation):
            self._end(self._last_time, is_last=True)
        self.flush(now)

    def describe(self) -> None:
        """Record what is known of the loop, if that is new."""
        config, self.new_config = self.new_config, None
        if config is not None:
            reason = "The config was changed by the program"
            self._record(ConfigReplaced(preset=self._preset, config=config, reason=reason))
        control = self._control
        known: dict[str, Any] = {
            "epochs": control.epochs,
            "steps_per_epoch": self.steps_per_epoch,
            "commands": control.offered(),
            "classes": self.classes,
            "percent": self._percent.is_percent,
        }
        if known != self._described:
            self._described = known
            self._record(LoopDescribed(framework=self._framework, **known))

    def _record_values(self) -> None:
        """Record the values since the last time."""
        self._value_log.add_rate(self._control.current_rate())
        self._value_log.record(self.step, self.position, self._values.trained)

    def count_data_seconds(self, seconds: float) -> None:
        """Count time that `steps` has waited for a batch; called by the loop's thread only."""
        self._value_log.data_seconds += seconds

    @property
    def has_validation(self) -> bool:
        """True if the current epoch has been validated."""
        return self._values.has_validation

    @property
    def position(self) -> tuple[int, int]:
        """Epoch, counted from 1, and step within it."""
        return place(self.step, self.epoch, self.steps_per_epoch)

    # Positions.

    def _find_not_finite(self, values: Mapping[str, float], step: int) -> bool:
        """Return True, and report it, if a series has its first value that is not finite."""
        lost = {name: value for name, value in values.items() if not math.isfinite(value)}
        new = [name for name in lost if name not in self._not_finite]
        self._not_finite.update(new)
        for name in new:
            self.warn(f"not finite {name}", f"{name} was {lost[name]} at step {step}")
        return bool(new)

    def _add_role(self, role: Role, value: float, time: float) -> None:
        if role == "lr":
            self._value_log.lr = value
        else:
            self._values.add(role, value, time)
        if role.endswith("accuracy"):
            self._percent.see(value)

    def _next_step(self, entry: Logged, given: float | None, *, is_step: bool) -> int:
        """Return the number of steps at a call of `log`."""
        if entry.counted is not None:
            return max(self.step, entry.counted)
        step = entry.step
        if step is None and given is not None and given.is_integer():
            step = int(given)
        if step is not None:
            goes_back = step < self._given_step
            self._given_step = max(self._given_step, step)
            if step >= self.step:
                if step == 0 and not self._counts_from_0:
                    self._counts_from_0 = True
                    self._length.begin(-1)
                return step
            if not goes_back:  # an epoch without steps counted as one
                return self.step
            text = f"step {step} is lower than {self.step}: steps are counted by themselves"
            self.warn("step", f"{text} where they go back")
        return self.step + is_step

    def _begin_epoch_of(
        self, step: int, number: int, time: float, *, trains: bool, shape: Shape
    ) -> None:
        """Begin another epoch if the values that are about to be added belong to it.

        Args:
            step: Steps since the start of the run.
            number: Number of the epoch as it is logged; 0 if it is not.
            time: Time of the values.
            trains: True if they are those of a step.
            shape: Their series.
        """
        roles = shape.roles
        if not roles.isdisjoint(VALIDATION_ROLES):
            self._end_early()
        is_of_training = trains or self._has_epoch_numbers or not self._has_trained
        if number > self.epoch and is_of_training:
            self._begin(number, time)
        elif number > self.epoch > self.finished:
            self.epoch = number  # logged with the validation at its end only
        elif trains and self._counts_by_length():
            counted = step if self._counts_from_0 else step - 1
            number = max(0, counted) // self.steps_per_epoch + 1
            if number > self.epoch:
                self._begin(number, time)
        elif trains and self._ends_with_validation():
            self._begin_after_validation(step, time, roles)
        elif not self._has_trained and (
            not self._values.parts.isdisjoint(roles)
            or self._values.has_validated(name for name, _ in shape.series)
        ):
            self._end(time)  # a loop that logs validations only

    def _begin_after_validation(
        self, step: int, time: float, roles: frozenset[Role | None]
    ) -> None:
        """Begin another epoch with a step if the one before is validated."""
        if self.epoch == self.finished:
            self._begin(self.epoch + 1, time)
        elif self._early is not None and step > self.step:  # a second step
            self._values.began, self._early = self._early.began, None
        elif self._values.has_validation and step > self._trained_step:
            steps = self.step - self._epoch_step + self._counts_from_0
            is_first = not self._known_parts and self.steps_per_epoch != 1
            if is_first and steps <= 1 and roles.isdisjoint(VALIDATION_ROLES):
                self._early, self._values = self._values, EpochValues(time)
                self._length.begin(self.step)
            else:
                self._begin(self.epoch + 1, time)

    def _end_early(self) -> None:
        """End the first epoch, which has one step, in the second."""
        if self._early is None:
            return
        values, self._values, self._early = self._values, self._early, None
        self.steps_per_epoch = self._length.learned = 1
        self._end(values.began)
        self.epoch, self._values = self.finished + 1, values
        self._epoch_step = self.step - 1

    def _counts_by_length(self) -> bool:
        return self._length_is_given and not (self._has_epoch_numbers or self._passes)

    def _ends_with_validation(self) -> bool:
        has_passes = self._passes > 1 or self._pass_length
        return not (has_passes or self._has_epoch_numbers or self._length_is_given)

    def _is_at_end(self) -> bool:
        """Return True if a validation now is at the end of an epoch."""
        if self._uses_epochs or self.epoch == self.finished:
            return False
        return self._ends_with_validation() or self._is_over()

    def _is_over(self) -> bool:
        """Return True if the steps of an epoch are done."""
        length = self.steps_per_epoch
        steps = self.step - self._epoch_step + (self._counts_from_0 and not self._epoch_step)
        return 0 < length <= steps

    def _begin_pass(self, entry: PassBegun) -> None:
        self._passes += 1
        self._pass_length, self._value_log.batch_size = entry.length, entry.batch_size
        if entry.length and not self.steps_per_epoch:
            self.steps_per_epoch = entry.length
        if not self._uses_epochs:
            self._begin(self.epoch + 1, entry.time)

    def _begin(self, epoch: int, time: float) -> None:
        """Begin an epoch, and end the one before if it has not ended."""
        if self.epoch > self.finished:
            self._end(time)
        self._record_values()
        self._early = None
        self.epoch, self._epoch_step = epoch, self.step
        self._values = EpochValues(time)
        self._value_log.begin(time)

    def _end(self, time: float, *, is_last: bool = False) -> None:
        """End the epoch, and record it; the last one may be shorter."""
        self.epoch = max(self.epoch, self.finished + 1)
        self.step = max(self.step, self._epoch_step + 1)
        self._record_values()
        if not (is_last and self.steps_per_epoch):
            self._learn_length()
        self.describe()
        if self.epoch <= FREE_EPOCHS or time - self._last_epoch_time >= EPOCH_SECONDS:
            self._record(self._values.finished(self.epoch, time, self._percent))
            self._last_epoch_time = time
        self._known_parts |= self._values.parts
        self.finished, self._epoch_step = self.epoch, self.step
        self._values = EpochValues(time)
        self._value_log.begin(time)

    def _learn_length(self) -> None:
        """Learn the length of an epoch that ends now."""
        steps = self.step + self._counts_from_0
        mean_length = max(1, round(steps / self.epoch))
        if self._uses_epochs:
            self.steps_per_epoch = mean_length  # of one or several passes, which may be cut short
        elif not self._ends_with_validation():
            self.steps_per_epoch = self.steps_per_epoch or mean_length
        elif self.steps_per_epoch in (0, self._length.learned):
            epochs = self.epoch - self.finished
            self.steps_per_epoch = self._length.learn(self.step, self.epoch, epochs)
