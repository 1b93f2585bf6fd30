"""Makes the frequent events of a loop: the values of its series, and its steps."""

import math
import time
from collections.abc import Callable

from cnn_engine.runlog.events import Event, StepsFinished
from cnn_engine.runlog.window import Window
from cnn_engine.tracking.series_names import SeriesNames


class ValueLog:
    """Values since the last event."""

    def __init__(self, record: Callable[[Event], None], names: SeriesNames, step: int) -> None:
        """Begin a session.

        Args:
            record: Records an event.
            names: Names of the series.
            step: Steps of earlier sessions.
        """
        self._record, self._names = record, names
        self.window = Window()
        self.lr = math.nan
        """Last known learning rate."""
        self.batch_size = 0
        """Images of a step; 0 if unknown."""
        self.data_seconds = self._recorded_data_seconds = 0.0
        """Time that `steps` has waited for batches; it is counted elsewhere."""
        self._recorded_step, self._recorded_until = step, 0.0

    def begin(self, now: float) -> None:
        """Count the duration of steps from a time."""
        self._recorded_until = now

    def record(self, step: int, position: tuple[int, int], trained: float) -> None:
        """Record the values since the last time, if there are any.

        Args:
            step: Steps since the start of the run.
            position: Epoch, counted from 1, and step within it.
            trained: Time of the last training step.
        """
        if self.window:
            self._record_steps(step, position, trained)
            self._record(self.window.event(step, position[0], time.time()))
            self.window = Window()

    def add_rate(self, rate: float | None) -> None:
        """Add the learning rate of an optimizer, unless the loop logs one or nothing."""
        if rate is not None and self.window and not self._names.name_of("lr"):
            self.window.add("lr", rate)
            self.lr = rate

    def _record_steps(self, step: int, position: tuple[int, int], trained: float) -> None:
        totals = self.window.get(self._names.name_of("train_loss"))
        if totals is None:
            return
        steps = max(1, step - self._recorded_step)
        seconds = max(0.0, trained - self._recorded_until)
        waited = self.data_seconds - self._recorded_data_seconds
        self._record(
            StepsFinished(
                epoch=position[0],
                step=position[1],
                steps=steps,
                loss=totals.mean,
                loss_min=totals.low if totals.count else totals.mean,
                loss_max=totals.high if totals.count else totals.mean,
                lr=self.lr,
                seconds=seconds,
                images=steps * self.batch_size,
                data_seconds=min(waited, seconds),
            )
        )
        self._recorded_step, self._recorded_until = step, max(trained, self._recorded_until)
        self._recorded_data_seconds += waited
