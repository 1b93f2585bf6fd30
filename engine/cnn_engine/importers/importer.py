"""Writes a run from another program's log, and continues it as the log grows.

Values that the log does not contain (classes, images, device) stay empty. A validation is taken as
the end of an epoch; the number of steps between the first two validations is the epoch's length.
"""

import math
import os
import socket
from collections import defaultdict
from dataclasses import dataclass
from importlib.metadata import version

from cnn_engine.errors import DataError
from cnn_engine.importers.roles import ROLES, Role, roles_of
from cnn_engine.importers.sources import Source
from cnn_engine.runlog.events import (
    EpochFinished,
    Event,
    Notice,
    RunFinished,
    RunImported,
    RunStarted,
    StepsFinished,
)
from cnn_engine.runlog.log import LogWriter
from cnn_engine.runs.directory import RunDirectory
from cnn_engine.storage.tfevents import Scalar

UNKNOWN = float("nan")
MAX_NAMED = 20
"""Maximum number of series named in a message."""


@dataclass
class Validation:
    """The values read so far of a validation."""

    time: float
    loss: float = UNKNOWN
    accuracy: float | None = None


class Importer:
    """Reads a source and writes a run."""

    def __init__(self, source: Source, run: RunDirectory, name: str = "") -> None:
        """Start a run in an empty directory.

        Raises:
            StorageError: the run cannot be written.
        """
        self._source, self._run = source, run
        self._log = LogWriter(run.events)
        self._name = name
        self._roles: dict[Role, str] = {}
        self._seen: set[str] = set()
        self._started: float | None = None
        self._last_time = 0.0
        self._train_step = -1
        self._train_time = 0.0
        self._lr = UNKNOWN
        self._steps_per_epoch = 0
        self._shift = 0
        """Added to steps: 1 if the steps are epochs counted from 0."""
        self._epochs = 0
        self._losses: list[float] = []
        """Training losses since the last validation."""
        self._waiting: dict[int, Validation] = {}
        """Incomplete validations by step."""
        self._train_accuracy: dict[int, float] = {}
        self.skipped = 0
        """Number of values that were out of order or replaced by a later value of the same step."""

    def poll(self) -> bool:
        """Import new values; return True once the run has any.

        Raises:
            OSError: the source cannot be read at the moment.
            DataError: the format is not supported.
        """
        new = list(self._source.poll())
        self._assign_roles(new)
        by_role = {tag: role for role, tag in self._roles.items()}
        by_step: dict[int, dict[Role, Scalar]] = defaultdict(dict)
        for scalar in new:
            if role := by_role.get(scalar.tag):
                self.skipped += role in by_step[scalar.step]
                by_step[scalar.step][role] = scalar
        if by_step:
            self._begin(min(scalar.time for row in by_step.values() for scalar in row.values()))
            self._apply(dict(sorted(by_step.items())))
        return self._started is not None

    def close(self, *, ended: bool) -> None:
        """Write incomplete validations, end the run and close its log.

        Args:
            ended: True if the source is complete, False if it may still grow.

        Raises:
            DataError: the source has no loss, accuracy or learning rate.
            StorageError: the run cannot be written.
        """
        try:
            if self._started is None:
                raise DataError(f"{self._source.path}: {self._no_values()}")
            self._finish_validations(before=None)
            if self.skipped:
                self._notice(f"{self.skipped} values were skipped because they are out of order")
            if self._source.damaged:
                self._notice(f"{self._source.damaged} parts of the log are damaged")
            seconds = max(0.0, self._last_time - self._started)
            self._add(
                RunFinished(
                    time=self._last_time,
                    status="done" if ended else "stopped",
                    exit_code=0,
                    seconds=seconds,
                )
            )
        finally:
            self._log.close()

    def _no_values(self) -> str:
        names = ", ".join(sorted(self._seen)[:MAX_NAMED])
        if names:
            return f"no series is a loss, an accuracy or a learning rate: {names}"
        return "contains no values"

    def _begin(self, time: float) -> None:
        """Write the first events, once."""
        if self._started is not None:
            return
        self._started = self._last_time = self._train_time = time
        self._add(
            RunStarted(
                time=time,
                run_id=self._run.id,
                name=self._name,
                preset=self._source.path.name,
                config={},
                pid=os.getpid(),
                host=socket.gethostname(),
                version=version("cnn-tui"),
            )
        )
        self._add(RunImported(time=time, source=str(self._source.path), steps_per_epoch=1))
        for role, tag in self._roles.items():
            self._notice(f"{tag} is used as {ROLES[role]}")
        self._report_unused(self._seen)

    def _assign_roles(self, new: list[Scalar]) -> None:
        """Assign roles to new series; assigned roles do not change."""
        tags = {scalar.tag for scalar in new} - self._seen
        if not tags:
            return
        self._seen |= tags
        for role, tag in roles_of(sorted(self._seen)).items():
            if role not in self._roles:
                self._roles[role] = tag
                if self._started is not None:
                    self._notice(f"{tag} is used as {ROLES[role]}")
        if self._started is not None:
            self._report_unused(tags)

    def _report_unused(self, tags: set[str]) -> None:
        """Add a notice that names the series without a role."""
        others = sorted(tags - set(self._roles.values()))
        if others:
            more = f" and {len(others) - MAX_NAMED} more" if len(others) > MAX_NAMED else ""
            self._notice(f"Not shown: {', '.join(others[:MAX_NAMED])}{more}")

    def _apply(self, by_step: dict[int, dict[Role, Scalar]]) -> None:
        self._measure_epochs(by_step)
        for step, row in by_step.items():
            self._finish_validations(before=step)
            if scalar := row.get("lr"):
                self._lr = scalar.value
            if scalar := row.get("train_accuracy"):
                self._train_accuracy[step] = scalar.value
            if scalar := row.get("train_loss"):
                self._add_steps(scalar)
            if "val_loss" in row or "val_accuracy" in row:
                self._validate(step, row)

    def _measure_epochs(self, by_step: dict[int, dict[Role, Scalar]]) -> None:
        """Set the epoch's length from the first validations, once."""
        steps = sorted(
            {step for step, row in by_step.items() if "val_loss" in row or "val_accuracy" in row}
            | self._waiting.keys()
        )
        if self._steps_per_epoch or not steps:
            return
        first = steps[0]
        self._steps_per_epoch = steps[1] - first if len(steps) > 1 else max(1, first)
        train = [step for step, row in by_step.items() if "train_loss" in row]
        if self._steps_per_epoch == 1 and min(first, *train, first) == 0:
            self._shift = 1
        self._add(
            RunImported(
                time=self._last_time,
                source=str(self._source.path),
                steps_per_epoch=self._steps_per_epoch,
            )
        )

    def _add_steps(self, scalar: Scalar) -> None:
        step = scalar.step + self._shift
        if step <= self._train_step:
            self.skipped += 1
            return
        steps = step - max(self._train_step, 0)
        self._train_step = step
        seconds = max(0.0, scalar.time - self._train_time)
        self._train_time = self._last_time = max(self._train_time, scalar.time)
        per_epoch = self._steps_per_epoch
        epoch = (step - 1) // per_epoch + 1 if per_epoch and step else 1
        self._losses.append(scalar.value)
        self._add(
            StepsFinished(
                time=scalar.time,
                epoch=epoch,
                step=step - (epoch - 1) * per_epoch,
                steps=max(1, steps),
                loss=scalar.value,
                loss_min=scalar.value,
                loss_max=scalar.value,
                lr=self._lr,
                seconds=seconds,
                images=0,
            )
        )

    def _validate(self, step: int, row: dict[Role, Scalar]) -> None:
        """Add validation values of a step; write the epoch once all known roles have a value."""
        scalars = [row[role] for role in ("val_loss", "val_accuracy") if role in row]
        validation = self._waiting.setdefault(step, Validation(scalars[0].time))
        if scalar := row.get("val_loss"):
            validation.loss = scalar.value
        if scalar := row.get("val_accuracy"):
            validation.accuracy = scalar.value
        known = {role for role in self._roles if role.startswith("val")}
        if not ("val_loss" in known and math.isnan(validation.loss)) and not (
            "val_accuracy" in known and validation.accuracy is None
        ):
            self._add_epoch(step, self._waiting.pop(step))

    def _finish_validations(self, before: int | None) -> None:
        """Write the waiting validations of steps before `before`, or all with None."""
        for step in sorted(self._waiting):
            if before is None or step < before:
                self._add_epoch(step, self._waiting.pop(step))

    def _add_epoch(self, step: int, validation: Validation) -> None:
        self._epochs += 1
        losses, self._losses = self._losses, []
        accuracy = validation.accuracy
        self._last_time = max(self._last_time, validation.time)
        self._add(
            EpochFinished(
                time=validation.time,
                epoch=self._epochs,
                train_loss=sum(losses) / len(losses) if losses else UNKNOWN,
                train_accuracy=self._train_accuracy.get(step, UNKNOWN),
                val_loss=validation.loss,
                correct=(),
                total=(),
                train_seconds=0.0,
                val_seconds=max(0.0, validation.time - self._train_time),
                accuracy=accuracy,
            )
        )

    def _notice(self, text: str) -> None:
        self._add(Notice(time=self._last_time, text=text))

    def _add(self, event: Event) -> None:
        self._log.append(event)
