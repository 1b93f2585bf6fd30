"""Inputs of each step of an epoch: images, learning rate, averaging weight."""

from torch import Tensor

from cnn_engine.config.schema import Config
from cnn_engine.data.augment.params import AugmentParams, sample_params
from cnn_engine.data.class_weights import balanced_class_weights
from cnn_engine.data.dataset import DataSet
from cnn_engine.data.loader import TensorLoader, epoch_order, train_batch_sizes
from cnn_engine.distributed.processes import ALONE, Processes
from cnn_engine.training.ema import WeightEMA
from cnn_engine.training.lr_schedule import lr_factor
from cnn_engine.training.progress import TrainProgress
from cnn_engine.training.step_inputs import EpochPlan, EpochPlans, StepInputs, plan_epoch


class StepSchedule:
    """Fills the inputs of an epoch's steps; they depend on the config and the epoch alone."""

    def __init__(
        self, config: Config, data: DataSet, loader: TensorLoader, processes: Processes = ALONE
    ) -> None:
        """Allocate the inputs on the loader's device.

        Args:
            config: The run's config; its number of epochs is not used, because it may change.
            data: The images.
            loader: The same, on the device.
            processes: The processes that share each batch.
        """
        self._config, self._data, self._processes = config, data, processes
        has_weights = config.train.class_weights == "balanced"
        self._class_weights = balanced_class_weights(data) if has_weights else None
        self.batch_sizes = train_batch_sizes(len(data.train), config.train.batch_size)
        """Images in each batch of an epoch."""
        self.inputs = StepInputs(
            loader,
            len(data.train),
            config.train.batch_size,
            self._augment(data.train[:1], 1),
            processes,
        )
        self._plans = EpochPlans(self._plan, ahead=loader.device.type == "cuda")
        self.lrs = [config.optimizer.lr] * len(self.batch_sizes)
        """Learning rate of each step of the epoch."""

    def begin_epoch(self, epoch: int, step: int) -> None:
        """Set the images of an epoch, counted from 1, with `step` finished steps."""
        self.inputs.begin_epoch(self._plans.get(epoch), step)

    def set_rates(
        self, progress: TrainProgress, epochs: int, base_lr: float, ema: WeightEMA | None
    ) -> None:
        """Set learning rate and averaging weight of the epoch's remaining steps.

        Args:
            progress: The run's counters.
            epochs: Total number of epochs to train.
            base_lr: Learning rate before the schedule's factor.
            ema: The average, if there is one.
        """
        first, steps = progress.step, len(self.batch_sizes)
        done, total = max(0, progress.epoch - 1) * steps, epochs * steps
        fractions = [min(1.0, (done + step) / total) for step in range(first, steps + 1)]
        schedule = self._config.schedule
        self.lrs[first:] = [base_lr * lr_factor(schedule, fraction) for fraction in fractions[:-1]]
        ema_weights = [
            0.0 if ema is None else ema.weight(ahead, fraction)
            for ahead, fraction in enumerate(fractions[1:], start=1)
        ]
        self.inputs.set_scalars(first, [*zip(self.lrs[first:], ema_weights, strict=True)])

    def _plan(self, epoch: int) -> EpochPlan:
        """Return the order and the augmentation of an epoch's images."""
        train = self._config.train
        order = epoch_order(self._data.train, train.seed, epoch)
        weights = self._class_weights
        if weights is not None:
            weights = weights[self._data.labels[order]]
        params = self._augment(order, epoch)
        return plan_epoch(order, params, train.batch_size, weights, self._processes)

    def _augment(self, order: Tensor, epoch: int) -> AugmentParams | None:
        """Return the augmentation parameters of an epoch's images, in their order."""
        config, images = self._config, self._data.images
        return sample_params(
            config.augment, order, images, config.data.mean, config.train.seed, epoch
        )

    def close(self) -> None:
        """End all threads."""
        self._plans.close()
        self.inputs.close()
