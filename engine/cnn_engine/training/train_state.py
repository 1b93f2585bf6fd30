"""The state of training: everything that a checkpoint restores, and the steps that change it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from cnn_engine.checkpoints import checkpoint
from cnn_engine.checkpoints.compat import check_fingerprint, check_weights
from cnn_engine.config.schema import Config
from cnn_engine.data.augment.params import check_augment
from cnn_engine.data.dataset import DataSet
from cnn_engine.data.identity import image_values
from cnn_engine.data.loader import epoch_order, make_loader
from cnn_engine.distributed.processes import ALONE, Processes
from cnn_engine.errors import ConfigError
from cnn_engine.models.finite import infinite_buffers
from cnn_engine.models.renamed import rename_weights
from cnn_engine.results.margins import are_recordable
from cnn_engine.runlog.best_metric import best_metric
from cnn_engine.system.environment import environment
from cnn_engine.system.environment_diff import environment_diff, is_decoded_differently
from cnn_engine.system.random_states import random_states, set_random_states
from cnn_engine.training.learner import Learner
from cnn_engine.training.lr_schedule import lr_factor
from cnn_engine.training.margins import EpochMargins
from cnn_engine.training.progress import TrainProgress
from cnn_engine.training.setup import new_model
from cnn_engine.training.step_runner import StepRunner
from cnn_engine.training.step_schedule import StepSchedule
from cnn_engine.training.step_timer import StepTimer

SEED_FACTORS = (0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D, 0x27D4EB2F)
"""Odd numbers that keep the random numbers of seeds, epochs, steps and processes apart."""


class TrainState:
    """Model, optimizer, random states and counters of a run, on one device."""

    learner: Learner
    """The model, its optimizer and its average."""

    steps: StepRunner
    """Runs the steps of an epoch."""

    def __init__(  # noqa: PLR0913, PLR0917 - the parts of a run
        self,
        config: Config,
        data: DataSet,
        device: torch.device,
        notify: Callable[[str], None],
        report_capture: Callable[[str], None],
        processes: Processes = ALONE,
    ) -> None:
        """Move the images to the device; `build` makes the model.

        Args:
            config: The run's config.
            data: The images.
            device: The device that trains.
            notify: Called with notices for the user.
            report_capture: Called with "" once steps are replayed as a CUDA graph, or with the
                reason why they are not.
            processes: The processes that train together.
        """
        self.processes = processes
        self.config, self.data, self.device = config, data, device
        check_augment(config.augment, data.images.shape[2])
        self.loader = make_loader(device, data, config.data.mean, config.data.std)
        self.schedule = StepSchedule(config, data, self.loader, processes)
        self.timer = StepTimer(device)
        self.best_metric = best_metric(config.train.best)
        self.progress = TrainProgress(best_value=self.best_metric.worst)
        self.fingerprint = data.fingerprint()
        self._image_values = image_values(data, self.fingerprint)
        self._notify, self._report_capture = notify, report_capture

    @property
    def batch_sizes(self) -> list[int]:
        """Images in each batch of an epoch."""
        return self.schedule.batch_sizes

    @property
    def steps_per_epoch(self) -> int:
        """Steps of an epoch."""
        return len(self.batch_sizes)

    @property
    def records_margins(self) -> bool:
        """True if the margins of the training images are recorded."""
        images, classes = len(self.data.train), len(self.data.classes)
        return self.config.train.record_margins and are_recordable(images, classes)

    def build(self, *, from_scratch: bool) -> None:
        """Build the model with its initial weights, and reset all counters.

        Args:
            from_scratch: False if a checkpoint will be loaded, so that pretrained weights are not
                needed.

        Raises:
            ConfigError: the model does not fit the images or the device.
        """
        torch.manual_seed(self.config.train.seed)
        model = new_model(
            self.config, self.data, self.loader, self._notify, from_scratch=from_scratch
        )
        if self.config.train.sync_batch_norm and not self.processes.is_alone:
            if self.device.type != "cuda":
                raise ConfigError(
                    "train.sync_batch_norm: PyTorch has it on GPUs only; set it to false"
                )
            model = nn.SyncBatchNorm.convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]
        # Weights computed from images differ between processors.
        self.processes.copy_from_first(model.state_dict().values())
        self.infinite_buffers = infinite_buffers(model)
        """Names of buffers that are not finite from the start."""
        self.learner = Learner(
            model, self.config, self.data, self.loader, self.timer, self.processes
        )
        self.steps = StepRunner(
            self.learner,
            self.schedule.inputs,
            self.timer,
            self.steps_per_epoch,
            self._report_capture,
            self._epoch_margins(),
            captures=self.device.type == "cuda"
            and self.config.train.graph == "auto"
            and self.processes.is_alone,
        )
        first = TrainProgress(best_value=self.best_metric.worst)
        self.progress.load_state_dict(first.state_dict())

    def _epoch_margins(self) -> EpochMargins | None:
        """Return what keeps the margins of an epoch; None if they are not recorded."""
        if not self.records_margins:
            return None
        classes, targets = len(self.data.classes), self.schedule.inputs.targets
        return EpochMargins(self.batch_sizes, classes, targets, self.device, self.processes)

    def margins(self) -> bytes | None:
        """Return the margins of the trained epoch as `margins.bin` has them; None without.

        All processes must call it.
        """
        rows = self.steps.margins(self.steps_per_epoch)
        if rows is None:
            return None
        order = epoch_order(
            torch.arange(len(self.data.train)), self.config.train.seed, self.progress.epoch
        )
        return torch.empty_like(rows).index_copy_(0, order, rows).numpy().tobytes()

    def begin_epoch(self) -> None:
        """Advance to the next epoch."""
        self.progress.begin_epoch()
        self.steps.reset()

    def seed_step(self) -> None:
        """Let each process draw its own random numbers in the next step, as for dropout.

        They depend on seed, epoch, step and process only. A process that is alone continues its
        sequence of random numbers, which checkpoints contain.
        """
        if self.processes.is_alone:
            return
        place = self.config.train.seed, self.progress.epoch, self.progress.step, self.processes.rank
        seed = sum(number * factor for number, factor in zip(place, SEED_FACTORS, strict=True))
        torch.manual_seed(seed % 2**32)

    @property
    def epochs(self) -> int:
        """Total number of epochs to train."""
        return self.config.train.epochs

    @epochs.setter
    def epochs(self, epochs: int) -> None:
        self.config = self.config.replaced("train", epochs=epochs)
        self.set_rates()

    @property
    def lr(self) -> float:
        """Learning rate of the next step; setting it scales the base learning rate.

        Raises:
            ConfigError: when set, if the schedule has reduced the learning rate to 0.
        """
        return self.learner.optimizer.base_lr * self._lr_factor()

    @lr.setter
    def lr(self, lr: float) -> None:
        if not (factor := self._lr_factor()):
            raise ConfigError(
                f"lr {lr:g}: the schedule has reduced the learning rate to 0; train more epochs"
            )
        self.learner.optimizer.base_lr = lr / factor
        self.set_rates()

    def _lr_factor(self) -> float:
        fraction = self.progress.fraction(self.steps_per_epoch, self.epochs)
        return lr_factor(self.config.schedule, fraction)

    def set_rates(self) -> None:
        """Set learning rate and averaging weight of the epoch's remaining steps."""
        learner = self.learner
        self.schedule.set_rates(self.progress, self.epochs, learner.optimizer.base_lr, learner.ema)

    def model_state(self) -> dict[str, Any]:
        """Return the content of `best.pt`: weights, and what is needed to use them."""
        return {
            "model": self.learner.model_state_dict(),
            "epoch": self.progress.epoch,
            "step": self.progress.step,
            "classes": list(self.data.classes),
            "config": self.config.model_dump(mode="json"),
        }

    def state_dict(self) -> dict[str, Any]:
        """Return the content of `last.pt`: everything that a resumed run continues from."""
        return {
            "classes": list(self.data.classes),
            "config": self.config.model_dump(mode="json"),
            **self.progress.state_dict(),
            **self.learner.state_dict(),
            **self.steps.state_dict(self.progress.step),
            "random": random_states(self.device),
            "fingerprint": self.fingerprint,
            "environment": self.environment(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a state that `state_dict` returned."""
        self.progress.load_state_dict(state)
        self.learner.load_state_dict(state)
        self.steps.load_state_dict(state)
        set_random_states(self.device, state["random"])

    def load(self, file: Path) -> tuple[str, ...]:
        """Load a checkpoint; return the differences to the environment that it was saved in.

        Raises:
            ConfigError: it is of another model, or contains only weights.
            DataError: it is damaged, or was trained on other images.
        """
        state = rename_weights(self.learner.model, checkpoint.load(file, self.device))
        if "optimizer" not in state:
            raise ConfigError(f"{file.name}: contains only weights; training cannot resume from it")
        check_weights(self.learner.weights.state_dict(), state["model"], file.name)
        environment, recorded = self.environment(), state["environment"]
        if not is_decoded_differently(environment, recorded):
            check_fingerprint(self.fingerprint, state, self.data, file.name)
        self.load_state_dict(state)
        return environment_diff(environment, recorded)

    def environment(self) -> dict[str, str]:
        """Return versions and settings that results depend on."""
        processes = {"processes": str(self.processes.count)}
        return environment(self.device, self.learner.precision) | self._image_values | processes
