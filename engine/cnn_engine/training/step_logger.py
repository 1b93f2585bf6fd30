"""Records training steps in the log."""

import math
from collections.abc import Callable, Sequence

from cnn_engine.errors import NonFiniteError
from cnn_engine.runlog.events import StepsFinished
from cnn_engine.runs.recorder import Recorder
from cnn_engine.training.control import Throttle
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
        losses: Callable[[int, int], list[float]],
        step: int,
    ) -> None:
        """Record one epoch.

        Args:
            recorder: Records the events.
            clock: Returns the time in seconds, without pauses.
            timer: Measures the phases of the steps.
            epoch: Counted from 1.
            sizes: Images in each batch.
            lrs: Learning rate of each step; later ones may change.
            losses: Returns the losses of the finished steps from one to before another.
            step: Steps of the epoch that are finished and recorded already.
        """
        self._recorder, self._clock, self._timer = recorder, clock, timer
        self._epoch, self._sizes, self._lrs, self._losses = epoch, sizes, lrs, losses
        self._throttle = Throttle(EVENT_SECONDS)
        self._recorded = step
        self._recorded_at = self._clock()
        self._error: NonFiniteError | None = None

    def step_done(self, step: int) -> None:
        """Record the steps up to `step` if an event is due.

        Raises:
            NonFiniteError: the loss of a recorded step is NaN or infinite.
        """
        if self._throttle.due() or step == len(self._sizes):
            self.flush(step)
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def flush(self, step: int) -> None:
        """Record the steps up to `step` that have not been recorded; all must be finished."""
        if step == self._recorded:
            return
        losses = self._losses(self._recorded, step)
        now = self._clock()
        seconds, fractions = now - self._recorded_at, self._timer.pop_fractions()
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
                images=sum(self._sizes[self._recorded : step]),
                data_seconds=seconds * fractions.get("data", 0.0),
                forward_seconds=seconds * fractions.get("forward", 0.0),
                backward_seconds=seconds * fractions.get("backward", 0.0),
                optimizer_seconds=seconds * fractions.get("optimizer", 0.0),
            )
        )
        for number, loss in enumerate(losses, start=self._recorded + 1):
            if not math.isfinite(loss) and self._error is None:
                self._error = NonFiniteError(
                    f"training loss became {loss} at step {number} of epoch {self._epoch}"
                )
        self._recorded, self._recorded_at = step, now
