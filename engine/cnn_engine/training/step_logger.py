"""Records the steps while they go on."""

import math
from collections.abc import Callable, Sequence

from cnn_engine.runlog.events import StepsFinished
from cnn_engine.runs.recorder import Recorder
from cnn_engine.training.control import Throttle
from cnn_engine.training.step_timer import StepParts

EVENT_SECONDS = 0.5
"""How often progress is recorded."""


class StepMeter:
    """Records an epoch's steps, reading their losses from the device only when that is due.

    Steps may be launched ahead of the device; those that are done are recorded.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - what an epoch's steps are told from
        self,
        recorder: Recorder,
        clock: Callable[[], float],
        parts: StepParts,
        epoch: int,
        sizes: list[int],
        rates: Sequence[float],
        losses: Callable[[int, int], list[float]],
        step: int,
    ) -> None:
        """Watch one epoch.

        Args:
            recorder: Where events go.
            clock: Tells the time in seconds, and stands still while the run is paused.
            parts: Knows where the time of the steps goes.
            epoch: Counted from 1.
            sizes: Images in each batch.
            rates: Learning rate of each step; may be changed for those to come.
            losses: Gives the losses of the steps from one to before another, which are done.
            step: Steps that are done already, and were recorded.
        """
        self._recorder, self._clock, self._parts = recorder, clock, parts
        self._epoch, self._sizes, self._rates, self._losses = epoch, sizes, rates, losses
        self._throttle = Throttle(EVENT_SECONDS)
        self._recorded = step
        self._recorded_at = self._clock()
        self._trouble = ""

    def step_done(self, step: int) -> str:
        """Record, if that is due, that `step` steps of the epoch are done.

        Returns what is wrong where a loss is not a number, or infinite; else nothing.
        """
        if self._throttle.due() or step == len(self._sizes):
            self.tell(step)
        trouble, self._trouble = self._trouble, ""
        return trouble

    def tell(self, step: int) -> None:
        """Record the steps up to this one that have not been yet; all must be done."""
        if step == self._recorded:
            return
        losses = self._losses(self._recorded, step)
        now = self._clock()
        seconds, shares = now - self._recorded_at, self._parts.take_shares()
        self._recorder.record(
            StepsFinished(
                epoch=self._epoch,
                step=step,
                steps=len(losses),
                loss=sum(losses) / len(losses),
                loss_min=min(losses),
                loss_max=max(losses),
                lr=self._rates[step - 1],
                seconds=seconds,
                images=sum(self._sizes[self._recorded : step]),
                data_seconds=seconds * shares.get("data", 0.0),
                forward_seconds=seconds * shares.get("forward", 0.0),
                backward_seconds=seconds * shares.get("backward", 0.0),
                optimizer_seconds=seconds * shares.get("optimizer", 0.0),
            )
        )
        for number, loss in enumerate(losses, start=self._recorded + 1):
            if not math.isfinite(loss) and not self._trouble:
                self._trouble = (
                    f"training loss became {loss} at step {number} of epoch {self._epoch}"
                )
        self._recorded, self._recorded_at = step, now
