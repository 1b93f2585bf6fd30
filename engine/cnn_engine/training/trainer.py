"""The training loop."""

import math
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Literal

from cnn_engine.checkpoints.compat import check_images
from cnn_engine.checkpoints.format import find_newest
from cnn_engine.checkpoints.resume import set_damaged_aside
from cnn_engine.checkpoints.writer import Writer
from cnn_engine.config.schema import Config
from cnn_engine.data.dataset import DataSet
from cnn_engine.distributed.processes import ALONE, Processes
from cnn_engine.errors import NonFiniteError, TrainingError
from cnn_engine.evaluation.evaluate import Evaluation
from cnn_engine.results.metrics import calibration_error
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
from cnn_engine.runs.alarm_log import AlarmLog
from cnn_engine.runs.recorder import Recorder
from cnn_engine.system.device import choose_device
from cnn_engine.system.gpu import make_gpu_meter
from cnn_engine.training.budget import Budget
from cnn_engine.training.checkpointer import Checkpointer, writes_in_background
from cnn_engine.training.control import Control, StopRequested, Throttle
from cnn_engine.training.final_test import run_test
from cnn_engine.training.inspector import Inspector
from cnn_engine.training.learner import Learner
from cnn_engine.training.margin_files import MarginFiles
from cnn_engine.training.scalars import CALIBRATION_ERROR, scalars_logged
from cnn_engine.training.setup import run_prepared
from cnn_engine.training.step_logger import EVENT_SECONDS, StepLogger
from cnn_engine.training.train_state import TrainState
from cnn_engine.training.validation_files import ValidationFiles

MAX_ROLLBACKS = 5
"""Maximum number of rollbacks of a run; each halves the learning rate."""


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
        processes: Processes = ALONE,
    ) -> None:
        """Build the model, and move it and the images to the device.

        Args:
            config: The run's config.
            data: The images.
            recorder: Records the events.
            control: Checked for commands between steps.
            file: Checkpoint to resume from; None to train from scratch.
            extra_environment: Further values for `RunPrepared.environment`, by name.
            processes: The processes that train together; the first one writes all files.

        Raises:
            ConfigError: the device is not available, or the checkpoint is of another model.
            DataError: the images have changed, or the checkpoint is damaged.
        """
        self.data, self.recorder, self.control = data, recorder, control
        if file is not None:
            check_images(recorder.state.prepared, data)
        recorder.record(StageStarted(stage="model"))
        device = choose_device(config.train, processes.local_rank)
        control.machine.measure_gpu = make_gpu_meter(device)
        self._warnings: set[str] = set()
        self._logger: StepLogger | None = None
        self._budget: Budget | None = None
        self._alarms, self._alarms_throttle = AlarmLog(recorder), Throttle(EVENT_SECONDS)
        self.state = TrainState(config, data, device, self.warn, self._record_capture, processes)
        self.progress = self.state.progress
        self.checkpointer = Checkpointer(
            recorder,
            self.progress,
            control.clock,
            config.train.checkpoint_seconds,
            self.warn,
            lambda: self.state.infinite_buffers,
            Writer(
                in_background=writes_in_background(device) and processes.is_first,
                is_dry=not processes.is_first,
            ),
            self.state.best_metric,
        )
        self._inspector = Inspector(
            data,
            config.data,
            self.state.loader,
            recorder.run.path,
            self.checkpointer.writer,
            recorder.check_in_place,
            self.warn,
        )
        self._validation_files = ValidationFiles(
            data,
            self.state.fingerprint,
            recorder.run,
            self.checkpointer.writer,
            recorder.check_in_place,
            self.warn,
        )
        self._margin_files = MarginFiles(data, recorder.run, recorder.check_in_place, self.warn)
        self._build(file, extra_environment or {})
        control.step_costs = self._step_costs
        self._inspector.write_layers(self.learner)
        self._inspector.write_validation_maps(self.learner, self.epoch)

    def _build(self, file: Path | None, extra_environment: Mapping[str, str]) -> None:
        """Build the model, load the checkpoint if there is one, and record that the run is ready.

        Raises:
            ConfigError: the model does not fit the images, or the checkpoint is of another model.
            DataError: the images have changed, or the checkpoint is damaged.
        """
        file = self._copy_from_first(file)
        self.state.build(from_scratch=file is None)
        differences = self._load(file) if file else ()
        self.recorder.record(
            run_prepared(
                self.data,
                self.learner.model,
                self.state.device,
                self.learner.precision,
                self.state.steps_per_epoch,
                differences=differences,
                environment={**extra_environment, **self.state.environment()},
            )
        )
        if differences:
            text = f"Resumed approximately, not bit for bit: {'; '.join(differences)}"
            self.recorder.record(Notice(text=text))

    def _copy_from_first(self, file: Path | None) -> Path | None:
        """Return where this process has the first one's checkpoint; None if there is none."""
        return self.state.processes.copy_file(file, self.recorder.run.path)

    def _load(self, file: Path) -> tuple[str, ...]:
        differences = self.state.load(file)
        self.checkpointer.best_value_on_disk = self.progress.best_value
        return differences

    # The loop.

    def run(self) -> None:
        """Train all epochs, then test the best weights.

        Raises:
            TrainingError: the loss or a weight is not finite.
            StopRequested: the user asked to stop; once the first epoch has started, the last
                checkpoint is saved. After an epoch, and if the user asked for it, the best weights
                are tested first.
        """
        config = self.state.config
        try:
            self.control.begin_training(self)
            if (seconds := config.train.budget_seconds) is not None:
                self._budget = Budget(seconds, config, self.data, self.state.steps_per_epoch)
            self.checkpointer.restart_timer()
            self._run_epochs()
            self._validation_files.flush()
            self.control.end_training()
            self._test()
            self._write_suspects()
            is_complete = self.epoch >= self.epochs and self.progress.epoch_done
            self.control.end_run(is_complete=is_complete)
        finally:
            self.close()

    def close(self) -> None:
        """Finish writing files, and end all threads."""
        self.state.schedule.close()
        self._validation_files.flush()
        self.checkpointer.writer.close()

    def _run_epochs(self) -> None:
        """Train the remaining epochs, or until the run is to stop and be tested.

        Raises:
            TrainingError: the loss or a weight is not finite.
            StopRequested: the user asked to stop; the last checkpoint is saved.
        """
        while self.epoch < self.epochs or not self.progress.epoch_done:
            if self.control.stops_and_tests:  # asked for while the run was loaded
                if not self.epoch:  # nothing is trained that could be tested
                    self.control.end_run(is_complete=False)
                return
            try:
                self._run_epoch()
            except StopRequested:
                self._save_last()
                if self.control.stops_and_tests:
                    return
                raise
            except NonFiniteError as error:
                if self.state.config.train.on_non_finite != "rollback":
                    raise TrainingError(f"{error}; try {self._suggested_fix()}") from None
                self._roll_back(str(error))
                continue
            if self.control.stops_after_epoch:
                return

    def _run_epoch(self) -> None:
        """Train and validate the next epoch, or the rest of the current one."""
        if self.progress.epoch_done:
            self.begin_epoch()
        self.recorder.record(EpochStarted(epoch=self.epoch, step=self.progress.step))
        train_loss, train_accuracy = self.train_epoch()
        self._require_finite_weights()
        self._write_margins()
        if self._budget is not None and len(self.data.val) and not self._is_validation_due():
            self._plan_budget(self._budget)  # this may be the last epoch, which is validated
        trained = self.control.clock()
        validation = self._validate() if self._is_validation_due() else None
        finished = EpochFinished(
            epoch=self.epoch,
            train_loss=train_loss,
            train_accuracy=train_accuracy,
            val_loss=validation.loss if validation else math.nan,
            correct=validation.correct if validation else (),
            total=validation.total if validation else (),
            train_seconds=self.progress.train_seconds,
            val_seconds=self.control.clock() - trained,
            confusion=validation.confusion if validation else (),
            val_macro_f1=validation.macro_f1 if validation else None,
        )
        self.recorder.record(finished)
        if validation is not None:
            self._record_calibration(validation)
        self.progress.epoch_done = True
        if validation is not None:
            self._update_best(finished)
            # The first process keeps an older best if it cannot write a new one.
            self.progress.best_value = self.control.decide(self.progress.best_value)
        self._alarms.check()
        if self._budget is not None:
            self._plan_budget(self._budget)
        self._correct_drift()
        self._save_after_epoch()
        if validation is not None:
            best = self.recorder.state.best
            is_best = best is not None and best.epoch == self.epoch
            self._validation_files.add(self.epoch, validation, is_best=is_best)
            self._inspector.write_validation_maps(self.learner, self.epoch)

    def _write_margins(self) -> None:
        """Write the margins of the trained epoch, if they are recorded."""
        record = self.state.margins()
        if record is not None and self.state.processes.is_first:
            self._margin_files.write_epoch(self.epoch, record)

    def _write_suspects(self) -> None:
        """Write the images with suspicious labels, if margins are recorded."""
        is_known = self.state.records_margins and self.recorder.state.epochs
        if is_known and self.state.processes.is_first:
            self._margin_files.write_suspects(self.recorder.state)

    def _correct_drift(self) -> None:
        """Use the first process's weights in all if they differ, as after a fault of memory."""
        processes = self.state.processes
        if processes.is_alone:
            return
        sums = processes.gather(self.learner.checksum().encode())
        if others := [rank for rank, each in enumerate(sums) if each != sums[0]]:
            self.learner.copy_from_first()
            ranks = ", ".join(map(str, others))
            text = f"Weights of process {ranks} differed; those of process 0 are used from now on"
            self.recorder.record(Notice(text=f"Epoch {self.epoch}: {text}"))

    def begin_epoch(self) -> None:
        """Advance to the next epoch."""
        self.state.begin_epoch()
        self._reset_epoch()

    def _reset_epoch(self) -> None:
        """Forget the steps and the warnings of an epoch."""
        self._logger = None
        self._warnings.clear()

    def train_epoch(self) -> tuple[float, float]:
        """Train the remaining steps of the epoch; return its mean loss and training accuracy.

        The host waits for a GPU only if too many steps are launched ahead.
        """
        clock, progress, steps = self.control.clock, self.progress, self.state.steps
        sizes = self.state.batch_sizes
        self.state.schedule.begin_epoch(self.epoch, progress.step)
        self.learner.begin_epoch(self.epoch)
        self.state.set_rates()
        steps.begin(progress.step)
        self._logger = StepLogger(
            self.recorder,
            clock,
            self.state.timer,
            self.epoch,
            sizes,
            self.state.schedule.lrs,
            steps,
            progress.step,
            partial(self.control.is_due, "log", Throttle(EVENT_SECONDS).due),
        )
        self.control.begin_phase()
        start = clock() - progress.train_seconds
        for size in sizes[progress.step :]:
            self.state.seed_step()
            steps.run(size)
            progress.step += 1
            if progress.step == len(sizes):
                steps.wait()
            progress.train_seconds = clock() - start
            self._after_step(self._logger)
        self.learner.average_statistics()
        return steps.mean_loss(sizes), steps.correct() / len(self.data.train)

    def _after_step(self, logger: StepLogger) -> None:
        """Update the time budget, the log and the checkpoints, and apply commands.

        Raises:
            NonFiniteError: a loss is not finite.
            StopRequested: the user asked to stop.
        """
        if self._budget is not None and self.control.is_due(
            "budget", partial(self._budget.is_due, self.progress)
        ):
            self._plan_budget(self._budget)
        try:
            logger.step_done(self.state.steps.finished)
        except NonFiniteError as error:
            self._on_non_finite(error)
        self.checkpointer.writer.poll()
        if self._alarms_throttle.due():
            self._alarms.check()
        self.control.check()
        if self.control.is_due("save", self.checkpointer.is_due):
            self._save_last()

    def _record_capture(self, reason: str) -> None:
        self.recorder.record(StepsCaptured(reason=reason))

    def _step_costs(self) -> tuple[int, float, float]:
        """Return the costs of the current model's steps, which a rollback replaces."""
        return self.state.steps.costs()

    # Validation and test.

    def _is_validation_due(self) -> bool:
        every = self.state.config.train.validate_every
        is_last = self.epoch >= self.epochs or self.control.stops_after_epoch
        return (self.epoch % every == 0 or is_last) and len(self.data.val) > 0

    def _validate(self) -> Evaluation:
        throttle = Throttle(EVENT_SECONDS)

        def progress(images: int) -> None:
            self.control.check()
            if throttle.due():
                self.recorder.record(ValidationProgressed(epoch=self.epoch, images=images))

        self.recorder.record(ValidationProgressed(epoch=self.epoch, images=0))
        self.control.begin_phase()
        with self.learner.averaged():
            return self.learner.evaluate(self.data.val, progress)

    def _record_calibration(self, validation: Evaluation) -> None:
        error = calibration_error(validation.bins)
        if error is not None:
            step, values = self.epoch * self.state.steps_per_epoch, {CALIBRATION_ERROR: error}
            self.recorder.record(scalars_logged(self.epoch, step, values))

    def _update_best(self, finished: EpochFinished) -> None:
        """Save the weights if the validation is the best so far; else stop early if due.

        Raises:
            NonFiniteError: the validation loss is not finite.
        """
        metric = self.state.best_metric
        value = metric.value_of(finished)
        if not math.isfinite(finished.val_loss):
            text = f"validation loss became {finished.val_loss} in epoch {self.epoch}"
            self._on_non_finite(NonFiniteError(text))
        elif metric.is_better(value, self.progress.best_value):
            self.checkpointer.save_best(self.state.model_state(), value)
        else:
            self._maybe_stop_early()

    def _maybe_stop_early(self) -> None:
        """End training if no epoch has been better for `train.patience` epochs."""
        patience, best = self.state.config.train.patience, self.recorder.state.best
        if patience is None or best is None or self.epoch >= self.epochs:
            return
        if (since := self.epoch - best.epoch) >= patience:
            text = f"no epoch was better than {best.epoch} for {since} epochs"
            text = f"Stopping early, as set by train.patience: {text}"
            self.recorder.record(Notice(text=text, severity="info"))
            self._end_after(self.epoch, by="patience")

    def _test(self) -> None:
        self.checkpointer.writer.wait()
        result = run_test(
            self.learner,
            self.data,
            self.state.loader,
            self.state.config.evaluate,
            self.recorder,
            self.control,
            self.epoch,
        )
        self._alarms.check()
        self._complete_validation(result.epoch)
        predictions = result.evaluation.predictions
        self._inspector.write_test_maps(self.learner, predictions, result.epoch)

    def _complete_validation(self, epoch: int) -> None:
        """Validate the tested weights again if a process was killed before it wrote the results."""
        self.checkpointer.writer.wait()
        state = self.recorder.state
        is_validated = any(epoch == validated.epoch for validated in state.validated_epochs)
        is_missing = is_validated and not self._validation_files.has_predictions(state, epoch)
        if len(self.data.val) and self.control.decide(is_missing):
            self.control.begin_phase()
            validation = self.learner.evaluate(self.data.val, lambda _: self.control.check())
            self._validation_files.add_best(epoch, validation)

    # Checkpoints.

    def _save_after_epoch(self) -> None:
        is_last = self.epoch >= self.epochs or self.control.stops_after_epoch
        if is_last or self.control.decide(self.checkpointer.is_due_after_epoch()):
            if not len(self.data.val):
                self.checkpointer.save_best(self.state.model_state(), None)
            self._save_last()

    def _save_last(self) -> None:
        self._flush_steps()
        self.learner.average_statistics()
        self.checkpointer.save_last(self.state.state_dict())

    def save_checkpoint(self) -> None:
        """Save the full state because of a command; never with averaged weights.

        Raises:
            StorageError: it could not be saved.
        """
        self._flush_steps()
        self.learner.average_statistics()
        with self.learner.not_averaged():
            self.checkpointer.save_requested(self.state.state_dict())

    @property
    def save_seconds(self) -> float | None:
        """Longest duration of a checkpoint so far; None before the first."""
        return self.checkpointer.save_seconds

    def _flush_steps(self) -> None:
        """Wait for launched steps and record them, so that a checkpoint is not ahead of the log."""
        if self._logger is not None:
            self.state.steps.wait()
            self._logger.flush(self.progress.step)

    # Changes by commands, patience and the time budget.

    @property
    def learner(self) -> Learner:
        """The model in training; a rollback replaces it."""
        return self.state.learner

    @property
    def epoch(self) -> int:
        """Current epoch, counted from 1; 0 before the first."""
        return self.progress.epoch

    @property
    def epochs(self) -> int:
        """Total number of epochs to train."""
        return self.state.epochs

    @epochs.setter
    def epochs(self, epochs: int) -> None:
        self.state.epochs = epochs

    @property
    def lr(self) -> float:
        """Learning rate of the next step; see `TrainState.lr`."""
        return self.state.lr

    @lr.setter
    def lr(self, lr: float) -> None:
        self.state.lr = lr

    def _end_after(self, epochs: int, by: Literal["patience", "budget"]) -> None:
        """Set and record the total number of epochs, as `patience` or the time budget requires."""
        self.epochs = epochs
        self.recorder.record(CommandApplied(command="epochs", by=by, value=float(epochs)))

    def _plan_budget(self, budget: Budget) -> None:
        """Adapt the number of epochs to the time budget."""
        last = next(reversed(self.recorder.state.validated_epochs), None)
        is_first = not budget.is_planned
        planned = budget.plan(self.progress, self.epochs, self.control.elapsed(), last)
        epochs = int(self.control.decide(planned))
        if is_first:
            text = budget.text(epochs, budget.costs(self.progress, last))
            self.recorder.record(Notice(text=text, severity="info"))
        if epochs != self.epochs:
            self._end_after(epochs, by="budget")

    # Losses and weights that are not finite.

    def _require_finite_weights(self) -> None:
        """Raise if a weight is not finite.

        A weight that the loss does not depend on can become NaN unnoticed: in PyTorch 2.14 the
        gradient of a padded depthwise convolution with a stride over maps of 1x1, in bf16 on a CPU,
        contains uninitialized memory.

        Raises:
            NonFiniteError: a weight is NaN or infinite, and the config does not ignore it.
        """
        if not self.learner.weights.are_finite(self.state.infinite_buffers):
            text = f"weights are not finite after the steps of epoch {self.epoch}"
            self._on_non_finite(NonFiniteError(text))

    def _on_non_finite(self, error: NonFiniteError) -> None:
        """Raise the error, or warn once per epoch with `train.on_non_finite = "continue"`."""
        if self.state.config.train.on_non_finite != "continue":
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
        if found is not None:
            set_damaged_aside(found, self.recorder)
        file = self._copy_from_first(found.path if found else None)
        self.state.build(from_scratch=file is None)
        self.checkpointer.best_value_on_disk = self.state.best_metric.worst
        self._reset_epoch()
        if file is not None:
            self._load(file)
        self.learner.optimizer.base_lr, self.progress.rollbacks = base_lr, rollbacks
        position = self.progress.position
        self._validation_files.undo(position.epoch)
        self.recorder.record(
            RolledBack(
                epoch=position.epoch,
                step=position.step,
                file=file.name if file else "",
                lr=self.state.lr,
                reason=reason,
            )
        )
