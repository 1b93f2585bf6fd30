"""How many epochs a run's time allows."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cnn_engine.evaluation.tta import VIEWS
from cnn_engine.runlog.events import Notice
from cnn_engine.runlog.state import INFERENCE_COST

if TYPE_CHECKING:
    from cnn_engine.training.trainer import Training

LEAST_SECONDS = 3.0
"""Training before the speed counts as known: the first steps are slower than all others."""

RESERVE = 0.03
"""Share of the time that is left over, for what cannot be known."""


@dataclass(frozen=True, kw_only=True)
class Costs:
    """What a run's parts take, in seconds, as far as it has gone."""

    step: float
    """A step of training."""

    validation: float
    """Looking at the validation images once."""

    test: float
    """The test."""


def epochs_within(
    seconds: float, costs: Costs, steps_left: int, steps_per_epoch: int, validate_every: int
) -> int:
    """Epochs beside the one in hand that can be trained, validated and tested in a time.

    Args:
        seconds: Time from now to the end of the run.
        costs: What its parts take.
        steps_left: Steps of the epoch in hand that are not done; it is finished in any case.
        steps_per_epoch: Steps of each other.
        validate_every: Epochs after which the validation images are looked at.
    """
    # The last epoch is always validated, whether it is its turn or not.
    needed = steps_left * costs.step + costs.validation + costs.test
    epoch = steps_per_epoch * costs.step + costs.validation / validate_every
    return max(0, int((seconds * (1 - RESERVE) - needed) / epoch))


class Budget:
    """Keeps a run within its time by the number of its epochs.

    It is planned as soon as a few seconds of training have told the speed, and again after each
    epoch; from the second on it only becomes less, as the schedule may be near its end.
    """

    def __init__(self, seconds: float, training: "Training") -> None:
        self._seconds, self._training = seconds, training
        self._is_planned = False

    def step_done(self) -> None:
        """Plan, if the speed has just become known."""
        if not self._is_planned and self._training.train_seconds >= LEAST_SECONDS:
            self._plan(self._training.steps_per_epoch - self._training.step)

    def epoch_done(self) -> None:
        """Plan anew with what the epoch took."""
        self._plan(0)

    def _plan(self, steps_left: int) -> None:
        training = self._training
        costs, every = self._costs(), training.config.train.validate_every
        left = self._seconds - training.control.elapsed()
        more = epochs_within(left, costs, steps_left, training.steps_per_epoch, every)
        epochs = training.epoch + more
        if self._is_planned and training.epoch > 1:
            epochs = min(epochs, training.epochs)
        if not self._is_planned:
            training.recorder.record(Notice(text=self._told(epochs, costs)))
        self._is_planned = True
        if epochs != training.epochs:
            training.end_after(epochs, by="budget")

    def _costs(self) -> Costs:
        training, data = self._training, self._training.data
        step = training.train_seconds / training.step
        image = step / training.config.train.batch_size * INFERENCE_COST
        if last := next(reversed(training.recorder.state.validated_epochs), None):
            image = last.val_seconds / sum(last.total)
        views = 1 + VIEWS[training.config.evaluate.tta]
        return Costs(
            step=step, validation=image * len(data.val), test=image * len(data.test) * views
        )

    def _told(self, epochs: int, costs: Costs) -> str:
        epoch = self._training.steps_per_epoch * costs.step + costs.validation
        count = "1 epoch" if epochs == 1 else f"{epochs} epochs"
        text = f"The time budget of {self._seconds:.0f} s allows {count} of about {epoch:.0f} s"
        return f"{text}, and the test; so many are planned"
