"""Records training steps in the log."""

import math
from collections.abc import Callable, Sequence

from cnn_engine.errors import NonFiniteError
from cnn_engine.runlog.events import StepsFinished
from cnn_engine.runs.recorder import Recorder
from cnn_engine.training.scalars import (
    GRAD_NORM,
    IMAGES_PER_SECOND,
    WEIGHT_NORM,
    scalars_logged,
)
from cnn_engine.training.step_runner import Norms, StepRunner
from cnn_engine.training.step_timer import StepTimer

EVENT_SECONDS = 0.5
"""Time between two events of progress."""


class StepLogger:
    """Records an epoch's steps, and reads their losses from the device only when an event is due.

    Steps may be launched ahead of the device; only finished ones are recorded.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - the parts of an event
        self,
        recorder: Recorder,
        clock: Callable[[], float],
        timer: StepTimer,
        epoch: int,
        sizes: list[int],
        lrs: Sequence[float],
        steps: StepRunner,
        step: int,
        is_due: Callable[[], bool],
    ) -> None:
        """Record one epoch.

        Args:
            recorder: Records the events.
            clock: Returns the time in seconds, without pauses.
            timer: Measures the phases of the steps.
            epoch: Counted from 1.
            sizes: Images in each batch.
            lrs: Learning rate of each step; later ones may change.
            steps: Runs the steps.
            step: Steps of the epoch that are finished and recorded already.
            is_due: Returns True if an event is to be recorded now.
        """
        self._recorder, self._clock, self._timer = recorder, clock, timer
        self._epoch, self._sizes, self._lrs, self._steps = epoch, sizes, lrs, steps
        self._is_due = is_due
        self._recorded = step
        self._recorded_at = self._clock()
        self._error: NonFiniteError | None = None
        self._norms: Norms | None = None
        self._images_per_second = 0.0

    def step_done(self, step: int) -> None:
        """Record the steps up to `step` if an event is due.

        Raises:
            NonFiniteError: the loss of a recorded step is NaN or infinite.
        """
        self._record_scalars()
        if self._is_due() or step == len(self._sizes):
            self.flush(step)
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def flush(self, step: int) -> None:
        """Record the steps up to `step` that have not been recorded; all must be finished."""
        if step == self._recorded:
            return
        losses = self._steps.losses(self._recorded, step)
        now = self._clock()
        seconds, fractions = now - self._recorded_at, self._timer.pop_fractions()
        images = sum(self._sizes[self._recorded : step])
        self._recorder.record(
            StepsFinished(
                epoch=self._epoch,
                step=step,
                steps=len(losses),
                loss=sum(losses) / len(losses),
                loss_min=min(losses),
                loss_max=max(losses),
                lr=self._lrs[step - 1],
                seconds=seconds,
                images=images,
                data_seconds=seconds * fractions.get("data", 0.0),
                forward_seconds=seconds * fractions.get("forward", 0.0),
                backward_seconds=seconds * fractions.get("backward", 0.0),
                exchange_seconds=seconds * fractions.get("exchange", 0.0),
                optimizer_seconds=seconds * fractions.get("optimizer", 0.0),
            )
        )
        for number, loss in enumerate(losses, start=self._recorded + 1):
            if not math.isfinite(loss) and self._error is None:
                self._error = NonFiniteError(
                    f"training loss became {loss} at step {number} of epoch {self._epoch}"
                )
        self._recorded, self._recorded_at = step, now
        self._images_per_second = images / seconds if seconds > 0 else math.nan
        self._norms = self._norms or self._steps.measure_norms()
        if step == self._steps.launched:
            self._norms.values.read()  # the device is idle: they take microseconds
        self._record_scalars()

    def _record_scalars(self) -> None:
        """Record speed and norms with the latest event, once the device has computed the norms."""
        if self._norms is None or not self._norms.values.is_done:
            return
        gradient_norm, weight_norm = self._norms.values.read()
        step = (self._epoch - 1) * len(self._sizes) + self._norms.step
        values = {
            GRAD_NORM: gradient_norm,
            WEIGHT_NORM: weight_norm,
            IMAGES_PER_SECOND: self._images_per_second,
        }
        self._norms = None
        self._recorder.record(scalars_logged(self._epoch, step, values))
