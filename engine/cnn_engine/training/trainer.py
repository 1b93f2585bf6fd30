"""The training loop."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch

from cnn_engine.checkpoints import checkpoint
from cnn_engine.checkpoints.compat import check_fingerprint, check_images, check_weights
from cnn_engine.checkpoints.format import find_newest
from cnn_engine.checkpoints.resume import set_damaged_aside
from cnn_engine.config.schema import Config
from cnn_engine.data.dataset import DataSet
from cnn_engine.data.loader import make_loader
from cnn_engine.errors import ConfigError, NonFiniteError, TrainingError
from cnn_engine.evaluation.evaluate import Evaluation
from cnn_engine.models.renamed import rename_old_keys
from cnn_engine.runlog.events import (
    CommandApplied,
    EpochFinished,
    EpochStarted,
    Notice,
    RolledBack,
    StageStarted,
    StepsCaptured,
    ValidationProgressed,
)
from cnn_engine.runs.recorder import Recorder
from cnn_engine.system.device import choose_device
from cnn_engine.system.environment import environment
from cnn_engine.system.environment_diff import environment_diff
from cnn_engine.system.gpu import make_gpu_meter
from cnn_engine.system.random_states import random_states, set_random_states
from cnn_engine.training.budget import Budget
from cnn_engine.training.checkpointer import Checkpointer, writes_behind
from cnn_engine.training.control import Control, StopRequested, Throttle
from cnn_engine.training.final_test import run_test
from cnn_engine.training.inspector import Inspector
from cnn_engine.training.learner import Learner
from cnn_engine.training.lr_schedule import lr_factor
from cnn_engine.training.progress import TrainProgress
from cnn_engine.training.setup import new_model, run_prepared
from cnn_engine.training.step_logger import EVENT_SECONDS, StepLogger
from cnn_engine.training.step_runner import StepRunner
from cnn_engine.training.step_schedule import StepSchedule
from cnn_engine.training.step_timer import StepTimer

MAX_ROLLBACKS = 5
"""Rollbacks, each of which halves the learning rate, after which a run fails."""


class Trainer:
    """Trains a model: epochs, validation, checkpoints, the final test."""

    def __init__(  # noqa: PLR0913 - the parts of a run
        self,
        config: Config,
        data: DataSet,
        recorder: Recorder,
        control: Control,
        file: Path | None = None,
        *,
        extra_environment: Mapping[str, str] | None = None,
    ) -> None:
        """Build the model, and move it and the images to the device.

        Args:
            config: The run's config.
            data: The images.
            recorder: Records the events.
            control: Checked for commands between steps.
            file: Checkpoint to resume from; None to train from scratch.
            extra_environment: Recorded with the versions that results depend on.

        Raises:
            ConfigError: the device is not available, or the checkpoint is of another model.
            DataError: the images have changed, or the checkpoint is damaged.
        """
        self.config, self.data, self.recorder, self.control = config, data, recorder, control
        if file is not None:
            check_images(recorder.state.prepared, data)
        recorder.record(StageStarted(stage="model"))
        self.device = choose_device(config.train)
        control.machine.measure_gpu = make_gpu_meter(self.device)
        self.loader = make_loader(self.device, data, config.data.mean, config.data.std)
        self.fingerprint = data.fingerprint()
        self._schedule = StepSchedule(config, data, self.loader)
        self.batch_sizes = self._schedule.batch_sizes
        self.steps_per_epoch = len(self.batch_sizes)
        self.progress = TrainProgress()
        self.checkpointer = Checkpointer(
            recorder,
            self.progress,
            control.clock,
            config.train.checkpoint_seconds,
            self.warn,
            behind=writes_behind(self.device),
        )
        self._inspector = Inspector(
            data,
            config.data,
            self.loader,
            recorder.run.path,
            self.checkpointer.writer,
            self.warn,
        )
        self._timer = StepTimer(self.device)
        self._budget: Budget | None = None
        self._build(from_scratch=file is None)
        differences = self._load(file) if file else ()
        recorder.record(
            run_prepared(
                data,
                self.learner.model,
                self.device,
                self.learner.precision,
                self.steps_per_epoch,
                differences=differences,
                environment=dict(extra_environment or {})
                | environment(self.device, self.learner.precision)
                | {"images": self.fingerprint[:16]},
            )
        )
        if differences:
            text = f"Resumed approximately, not bit for bit: {'; '.join(differences)}"
            recorder.record(Notice(text=text))
        self._inspector.write_layers(self.learner)
        self._inspector.write_validation_maps(self.learner, self.epoch)

    def _build(self, *, from_scratch: bool) -> None:
        """Build the model with its initial weights, and reset all counters."""
        torch.manual_seed(self.config.train.seed)
        model = new_model(self.config, self.data, self.recorder, from_scratch=from_scratch)
        self.learner = Learner(model, self.config, self.data, self.loader, self._timer)
        self._steps = StepRunner(
            self.learner,
            self._schedule.inputs,
            self._timer,
            self.steps_per_epoch,
            self._record_capture,
            captures=self.device.type == "cuda" and self.config.train.graph == "auto",
        )
        self.progress.load_state_dict(TrainProgress().state_dict())
        self.checkpointer.best_loss_on_disk = math.inf
        self._reset_epoch()

    def _reset_epoch(self) -> None:
        """Forget the steps and the warnings of an epoch."""
        self._steps.reset()
        self._logger: StepLogger | None = None
        self._warnings: set[str] = set()

    # State.

    def model_state(self) -> dict[str, Any]:
        """Return the content of `best.pt`: weights, and what is needed to use them."""
        return {
            "model": self.learner.model_state_dict(),
            "epoch": self.epoch,
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
            **self._steps.state_dict(self.progress.step),
            "random": random_states(self.device),
            "fingerprint": self.fingerprint,
            "environment": environment(self.device, self.learner.precision),
        }

    def load_state_dict(self, state: dict[str, Any]) -> tuple[str, ...]:
        """Take over a state that `state_dict` returned; return differences in the environment."""
        self.progress.load_state_dict(state)
        self.learner.load_state_dict(state)
        self._steps.load_state_dict(state)
        set_random_states(self.device, state["random"])
        return environment_diff(
            environment(self.device, self.learner.precision), state["environment"]
        )

    def _load(self, file: Path) -> tuple[str, ...]:
        """Load a checkpoint; return differences in the environment.

        Raises:
            ConfigError: it is of another model, or holds weights only.
            DataError: it is damaged, or was trained on other images.
        """
        state = rename_old_keys(self.learner.model, checkpoint.load(file, self.device))
        if "optimizer" not in state:
            raise ConfigError(f"{file.name}: holds weights only, training cannot resume from it")
        check_weights(self.learner.weights.state_dict(), state["model"], file.name)
        check_fingerprint(self.fingerprint, state["fingerprint"], self.data.source, file.name)
        differences = self.load_state_dict(state)
        self.checkpointer.best_loss_on_disk = self.progress.best_val_loss
        return differences

    # The loop.

    def run(self) -> None:
        """Train all epochs, then test the best weights.

        Raises:
            TrainingError: the loss or a weight is not finite.
            StopRequested: the user asked to stop; the last checkpoint is saved.
        """
        self.control.begin_training(self)
        seconds = self.config.train.budget_seconds
        if seconds is not None:
            self._budget = Budget(seconds, self.config, self.data, self.steps_per_epoch)
        self.checkpointer.restart_timer()
        try:
            self._run_epochs()
            self.control.end_training()
            self._test()
        finally:
            self.close()

    def close(self) -> None:
        """Finish writing files, and end all threads."""
        self._schedule.close()
        self.checkpointer.writer.close()

    def _run_epochs(self) -> None:
        """Train the remaining epochs.

        Raises:
            TrainingError: the loss or a weight is not finite.
            StopRequested: the user asked to stop; the last checkpoint is saved.
        """
        while self.epoch < self.epochs or not self.progress.epoch_done:
            try:
                self._run_epoch()
            except StopRequested:
                self._save_last()
                raise
            except NonFiniteError as error:
                if self.config.train.on_non_finite != "rollback":
                    raise TrainingError(f"{error}; try {self._suggested_fix()}") from None
                self._roll_back(str(error))
                continue
            self.control.end_epoch()

    def _run_epoch(self) -> None:
        """Train and validate the next epoch, or the rest of the current one."""
        if self.progress.epoch_done:
            self.begin_epoch()
        self.recorder.record(EpochStarted(epoch=self.epoch, step=self.progress.step))
        train_loss, train_accuracy = self.train_epoch()
        self._require_finite_weights()
        trained = self.control.clock()
        validation = self._validate() if self._validates_epoch() else None
        self.recorder.record(
            EpochFinished(
                epoch=self.epoch,
                train_loss=train_loss,
                train_accuracy=train_accuracy,
                val_loss=validation.loss if validation else math.nan,
                correct=validation.correct if validation else (),
                total=validation.total if validation else (),
                train_seconds=self.progress.train_seconds,
                val_seconds=self.control.clock() - trained,
                confusion=validation.confusion if validation else (),
            )
        )
        self.progress.epoch_done = True
        if validation is not None:
            self._update_best(validation.loss)
        if self._budget is not None:
            self._plan_budget(self._budget)
        is_last = self.epoch >= self.epochs or self.control.stops_after_epoch
        if is_last or self.checkpointer.is_due_after_epoch(self.control.clock()):
            if not len(self.data.val):
                self.checkpointer.save_best(self.model_state(), None)
            self._save_last()
        if validation is not None:
            self._inspector.write_validation_maps(self.learner, self.epoch)

    def begin_epoch(self) -> None:
        """Advance to the next epoch."""
        self.progress.begin_epoch()
        self._reset_epoch()

    def train_epoch(self) -> tuple[float, float]:
        """Train the remaining steps of the epoch; return its mean loss and training accuracy.

        Nothing here waits for a GPU, except when it is too far behind.
        """
        clock, progress, steps = self.control.clock, self.progress, self._steps
        self._schedule.begin_epoch(self.epoch, progress.step)
        self.learner.begin_epoch(self.epoch)
        self._set_rates()
        steps.begin(progress.step)
        self._logger = StepLogger(
            self.recorder,
            clock,
            self._timer,
            self.epoch,
            self.batch_sizes,
            self._schedule.lrs,
            steps.losses,
            progress.step,
        )
        began = clock() - progress.train_seconds
        for size in self.batch_sizes[progress.step :]:
            steps.run(size)
            progress.step += 1
            if progress.step == self.steps_per_epoch:
                steps.wait()
            progress.train_seconds = clock() - began
            self._after_step(self._logger)
        return steps.mean_loss(self.batch_sizes), steps.correct() / len(self.data.train)

    def _after_step(self, logger: StepLogger) -> None:
        """Update the time budget, the log and the checkpoints, and apply commands.

        Raises:
            NonFiniteError: a loss is not finite.
            StopRequested: the user asked to stop.
        """
        if self._budget is not None and self._budget.is_due(self.progress):
            self._plan_budget(self._budget)
        try:
            logger.step_done(self._steps.finished)
        except NonFiniteError as error:
            self._on_non_finite(error)
        self.checkpointer.writer.poll()
        self.control.check()
        if self.checkpointer.is_due(self.control.clock()):
            self._save_last()

    def _set_rates(self) -> None:
        """Set learning rate and EMA weight of the epoch's remaining steps."""
        learner = self.learner
        self._schedule.set_rates(self.progress, self.epochs, learner.optimizer.base_lr, learner.ema)

    def _record_capture(self, reason: str) -> None:
        self.recorder.record(StepsCaptured(reason=reason))

    # Validation and test.

    def _validates_epoch(self) -> bool:
        is_due = self.epoch % self.config.train.validate_every == 0 or self.epoch >= self.epochs
        return is_due and len(self.data.val) > 0

    def _validate(self) -> Evaluation:
        throttle = Throttle(EVENT_SECONDS)

        def progress(images: int) -> None:
            self.control.check()
            if throttle.due():
                self.recorder.record(ValidationProgressed(epoch=self.epoch, images=images))

        self.recorder.record(ValidationProgressed(epoch=self.epoch, images=0))
        with self.learner.averaged():
            return self.learner.evaluate(self.data.val, progress)

    def _update_best(self, loss: float) -> None:
        """Save the weights if the validation loss is the lowest so far; else stop early if due.

        Raises:
            NonFiniteError: the loss is not finite.
        """
        if not math.isfinite(loss):
            text = f"validation loss became {loss} in epoch {self.epoch}"
            self._on_non_finite(NonFiniteError(text))
        elif loss <= self.progress.best_val_loss:
            self.checkpointer.save_best(self.model_state(), loss)
        else:
            self._maybe_stop_early()

    def _maybe_stop_early(self) -> None:
        """End training if no epoch has been better for `train.patience` epochs."""
        patience, best = self.config.train.patience, self.recorder.state.best
        if patience is None or best is None or self.epoch >= self.epochs:
            return
        if (since := self.epoch - best.epoch) >= patience:
            text = f"No epoch was better than {best.epoch} for {since} epochs"
            self.recorder.record(Notice(text=f"{text}: stopping early, as set by train.patience"))
            self._end_after(self.epoch, by="patience")

    def _test(self) -> None:
        self.checkpointer.writer.wait()
        result = run_test(
            self.learner,
            self.data,
            self.loader,
            self.config.evaluate,
            self.recorder,
            self.control,
            self.epoch,
        )
        self._inspector.write_test_maps(self.learner, result.evaluation.predictions, result.epoch)

    # Commands, and what else changes the course of a run.

    @property
    def epoch(self) -> int:
        """Current epoch, counted from 1; 0 before the first."""
        return self.progress.epoch

    @property
    def epochs(self) -> int:
        """Total number of epochs to train; a command may change it."""
        return self.config.train.epochs

    @epochs.setter
    def epochs(self, epochs: int) -> None:
        self.config = self.config.replaced("train", epochs=epochs)
        self._set_rates()

    def _end_after(self, epochs: int, by: Literal["patience", "budget"]) -> None:
        """Train `epochs` epochs in total, as the config demands."""
        self.epochs = epochs
        self.recorder.record(CommandApplied(command="epochs", by=by, value=float(epochs)))

    def _plan_budget(self, budget: Budget) -> None:
        """Adapt the number of epochs to the time budget."""
        last = next(reversed(self.recorder.state.validated_epochs), None)
        is_first = not budget.is_planned
        epochs = budget.plan(self.progress, self.epochs, self.control.elapsed(), last)
        if is_first:
            text = budget.text(epochs, budget.costs(self.progress, last))
            self.recorder.record(Notice(text=text))
        if epochs != self.epochs:
            self._end_after(epochs, by="budget")

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
        self._set_rates()

    def _lr_factor(self) -> float:
        fraction = self.progress.fraction(self.steps_per_epoch, self.epochs)
        return lr_factor(self.config.schedule, fraction)

    def save_checkpoint(self) -> None:
        """Save the full state because a command asked for it.

        Raises:
            StorageError: it could not be saved.
        """
        self._flush_steps()
        with self.learner.not_averaged():
            self.checkpointer.save_requested(self.state_dict())

    def _save_last(self) -> None:
        self._flush_steps()
        self.checkpointer.save_last(self.state_dict())

    def _flush_steps(self) -> None:
        """Wait for all launched steps and record them, so that a save is not ahead of the log."""
        if self._logger is not None:
            self._steps.wait()
            self._logger.flush(self.progress.step)

    # Losses and weights that are not finite.

    def _require_finite_weights(self) -> None:
        """Raise if a weight is not finite.

        A weight that the loss does not depend on can become NaN unnoticed: in PyTorch 2.14 the
        gradient of a padded depthwise convolution with a stride over maps of 1x1, in bf16 on a CPU,
        contains uninitialized memory.

        Raises:
            NonFiniteError: a weight is NaN or infinite, and the config does not ignore it.
        """
        if not self.learner.weights.are_finite():
            text = f"weights are not finite after the steps of epoch {self.epoch}"
            self._on_non_finite(NonFiniteError(text))

    def _on_non_finite(self, error: NonFiniteError) -> None:
        """Raise the error, or warn once per epoch with `train.on_non_finite = "continue"`."""
        if self.config.train.on_non_finite != "continue":
            raise error
        self._warn_once(f"epoch {self.epoch}", f"{error}; training continues, as configured")

    def _suggested_fix(self) -> str:
        is_fp32 = self.learner.precision == "fp32"
        return "a lower optimizer.lr" + ("" if is_fp32 else ', or train.precision = "fp32"')

    def warn(self, text: str) -> None:
        """Record a notice, the same text once per epoch."""
        self._warn_once(text, text)

    def _warn_once(self, topic: str, text: str) -> None:
        if topic not in self._warnings:
            self._warnings.add(topic)
            self.recorder.record(Notice(text=text))

    def _roll_back(self, reason: str) -> None:
        """Return to the last checkpoint, or to the start, with half the base learning rate.

        Raises:
            TrainingError: there were too many rollbacks.
            DataError: there are checkpoints, but all are damaged.
        """
        base_lr, rollbacks = self.learner.optimizer.base_lr / 2, self.progress.rollbacks + 1
        if rollbacks > MAX_ROLLBACKS:
            raise TrainingError(f"{reason}; gave up after {MAX_ROLLBACKS} rollbacks")
        self.checkpointer.writer.wait()
        found = find_newest(self.recorder.run.path)
        self._build(from_scratch=found is None)
        if found is not None:
            set_damaged_aside(found, self.recorder)
            self._load(found.path)
        self.learner.optimizer.base_lr, self.progress.rollbacks = base_lr, rollbacks
        position = self.progress.position
        self.recorder.record(
            RolledBack(
                epoch=position.epoch,
                step=position.step,
                file=found.path.name if found else "",
                lr=self.lr,
                reason=reason,
            )
        )
