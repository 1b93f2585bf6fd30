"""Number of epochs that fit into a time budget."""

from dataclasses import dataclass

from cnn_engine.config.schema import Config
from cnn_engine.data.dataset import DataSet
from cnn_engine.evaluation.tta import FORWARDS
from cnn_engine.runlog.events import EpochFinished
from cnn_engine.runlog.state import INFERENCE_COST
from cnn_engine.training.progress import TrainProgress

MIN_SECONDS = 3.0
"""Minimum training time before the speed is estimated; the first steps are slower."""

RESERVE = 0.03
"""Fraction of the budget kept in reserve."""


@dataclass(frozen=True, kw_only=True)
class Costs:
    """Durations in seconds, estimated from the run so far."""

    step: float
    """One training step."""

    validation: float
    """One pass over the validation images."""

    test: float
    """The final test."""


def epochs_within(
    seconds: float, costs: Costs, steps_left: int, steps_per_epoch: int, validate_every: int
) -> int:
    """Return how many epochs after the current one can be trained, validated and tested.

    Args:
        seconds: Time from now to the end of the run.
        costs: Estimated durations.
        steps_left: Steps left in the current epoch, which is finished in any case.
        steps_per_epoch: Steps of each other epoch.
        validate_every: Epochs between two validations.
    """
    # The last epoch is always validated, whatever `validate_every` is.
    needed = steps_left * costs.step + costs.validation + costs.test
    epoch = steps_per_epoch * costs.step + costs.validation / validate_every
    return max(0, int((seconds * (1 - RESERVE) - needed) / epoch))


class Budget:
    """Plans the number of epochs of a run with a time budget.

    The first plan is made once the speed is known, after a few seconds of training, and a new one
    after each epoch. From the second epoch on the number only decreases: the schedule may be near
    its end.
    """

    def __init__(self, seconds: float, config: Config, data: DataSet, steps_per_epoch: int) -> None:
        """Plan for `seconds` from the start of the run to its end."""
        self._seconds, self._steps_per_epoch = seconds, steps_per_epoch
        self._batch_size = config.train.batch_size
        self._validate_every = config.train.validate_every
        self._val_images, self._test_images = len(data.val), len(data.test)
        self._test_forwards = 1 + FORWARDS[config.evaluate.tta]
        self.is_planned = False

    def is_due(self, progress: TrainProgress) -> bool:
        """Return True if the first plan can be made within the epoch."""
        return not self.is_planned and progress.train_seconds >= MIN_SECONDS

    def plan(
        self, progress: TrainProgress, epochs: int, elapsed: float, last: EpochFinished | None
    ) -> int:
        """Return the total number of epochs to train.

        Args:
            progress: The run's counters.
            epochs: Total number of epochs planned so far.
            elapsed: Seconds since the start of the run, without pauses.
            last: The last epoch that was validated, if there is one.
        """
        costs = self.costs(progress, last)
        steps_left = 0 if progress.epoch_done else self._steps_per_epoch - progress.step
        more = epochs_within(
            self._seconds - elapsed, costs, steps_left, self._steps_per_epoch, self._validate_every
        )
        planned = progress.epoch + more
        if self.is_planned and progress.epoch > 1:
            planned = min(planned, epochs)
        self.is_planned = True
        return planned

    def costs(self, progress: TrainProgress, last: EpochFinished | None) -> Costs:
        """Return the estimated durations; arguments as for `plan`."""
        step = progress.train_seconds / progress.step
        image = (
            last.val_seconds / sum(last.total) if last else step / self._batch_size * INFERENCE_COST
        )
        return Costs(
            step=step,
            validation=image * self._val_images,
            test=image * self._test_images * self._test_forwards,
        )

    def text(self, epochs: int, costs: Costs) -> str:
        """Return the notice of the first plan."""
        epoch = self._steps_per_epoch * costs.step + costs.validation
        count = "1 epoch" if epochs == 1 else f"{epochs} epochs"
        return (
            f"The time budget of {self._seconds:.0f} s allows {count} of about {epoch:.0f} s, and "
            "the test"
        )
