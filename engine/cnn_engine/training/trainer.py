"""The training loop, top to bottom."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from cnn_engine.checkpoints import checkpoint
from cnn_engine.checkpoints.format import Place, newest
from cnn_engine.checkpoints.resume import set_damaged_aside
from cnn_engine.config.schema import Config
from cnn_engine.data.augment import AugmentParams, sample_params
from cnn_engine.data.dataset import DataSet
from cnn_engine.data.loader import batch_sizes, epoch_order, make_loader
from cnn_engine.errors import NonFiniteError, TrainingError
from cnn_engine.evaluation.evaluate import Evaluation
from cnn_engine.inspection.feature_maps import feature_maps
from cnn_engine.inspection.samples import SampleImages, samples_per_class
from cnn_engine.inspection.writer import write_feature_maps, write_layers
from cnn_engine.models.renamed import rename_old_keys
from cnn_engine.results.feature_maps import MAPS_FILE, Part
from cnn_engine.results.model_layers import LAYERS_FILE
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
from cnn_engine.system.gpu import make_gpu_meter
from cnn_engine.training.budget import Budget
from cnn_engine.training.checkpointer import Saving
from cnn_engine.training.control import Control, StopRequested, Throttle
from cnn_engine.training.final_test import run_test
from cnn_engine.training.launch_queue import LaunchQueue
from cnn_engine.training.learner import Learner, StepKind
from cnn_engine.training.lr_schedule import rate_share
from cnn_engine.training.setup import new_model, prepared
from cnn_engine.training.snapshot import check_images, restore
from cnn_engine.training.step_graphs import StepGraphs
from cnn_engine.training.step_inputs import EpochPlan, EpochPlans, StepInputs, plan_epoch
from cnn_engine.training.step_logger import EVENT_SECONDS, StepMeter
from cnn_engine.training.step_timer import StepParts

MOST_ROLLBACKS = 5
"""A loss that is not a number after as many halvings of the learning rate has another cause."""


class Training:
    """A model in training: the loop, and what it holds from step to step."""

    def __init__(  # noqa: PLR0913 - all that a training is made from
        self,
        config: Config,
        data: DataSet,
        recorder: Recorder,
        control: Control,
        file: Path | None = None,
        *,
        surroundings: Mapping[str, str] | None = None,
    ) -> None:
        """Build the model, and move it and the images to the device.

        Args:
            config: What to train.
            data: The images.
            recorder: Where events go.
            control: Looked at between steps.
            file: Checkpoint to go on from; without one, training begins.
            surroundings: What else is to be recorded of the run's environment.

        Raises:
            ConfigError: the device asked for is not there, or the checkpoint is of another model.
            DataError: the images have changed, or the checkpoint is damaged.
        """
        self.config, self.data, self.recorder, self.control = config, data, recorder, control
        if file is not None:
            check_images(recorder.state.prepared, data)
        recorder.record(StageStarted(stage="model"))
        self.device = choose_device(config.train)
        control.machine.measure_gpu = make_gpu_meter(self.device)
        self.batches = make_loader(self.device, data, config.data.mean, config.data.std)
        self.fingerprint = data.fingerprint()
        self.steps_per_epoch = len(self._sizes())
        self.epoch = 0
        self.saving = Saving(self)
        self._parts = StepParts(self.device)
        self._queue = LaunchQueue(self.device)
        self.losses = torch.zeros(self.steps_per_epoch, device=self.device)
        self.correct = torch.zeros((), dtype=torch.int64, device=self.device)
        self._rates: list[float] = [config.optimizer.lr] * self.steps_per_epoch
        self._budget: Budget | None = None
        self._build(begins=file is None)
        self._inputs = StepInputs(
            self.batches, len(data.train), config.train.batch_size, self._views(data.train[:1], 1)
        )
        self._plans = EpochPlans(self._plan_epoch, ahead=self.device.type == "cuda")
        differences = self._restore(file) if file else ()
        recorder.record(prepared(self, differences, surroundings or {}))
        if differences:
            text = f"Goes on approximately, not to the last digit: {'; '.join(differences)}"
            recorder.record(Notice(text=text))
        self._write_layers()
        self._write_validation_maps()

    def _build(self, *, begins: bool) -> None:
        """Make what learns, with its initial weights, and stand before the first epoch."""
        torch.manual_seed(self.config.train.seed)
        model = new_model(self.config, self.data, self.recorder, begins=begins)
        self.learner = Learner(model, self.config, self.data, self.batches, self._parts)
        self._graphs: StepGraphs[StepKind] = StepGraphs(
            self._train_step,
            self.learner.model,
            self.device,
            self._parts,
            captures=self._captures_steps(),
        )
        if self.device.type == "cuda" and self.learner.precision == "fp16":
            self._graphs.news.append("the loss scaling of fp16 asks the host in each step")
        self.epoch = self.rollbacks = 0
        self.best_loss = math.inf
        self.saving.goes_on_from(math.inf)
        self._forget_epoch()
        self.epoch_is_done = True

    def _sizes(self) -> list[int]:
        """Images of each of an epoch's batches."""
        return batch_sizes(len(self.data.train), self.config.train.batch_size)

    def _forget_epoch(self) -> None:
        """No steps of the epoch are done."""
        self.step, self.train_seconds = 0, 0.0
        self.losses.zero_()
        self.correct.zero_()
        self._meter: StepMeter | None = None
        self._said: set[str] = set()

    def _restore(self, file: Path) -> tuple[str, ...]:
        """Go on from a checkpoint; what is other here than where it was made."""
        content = rename_old_keys(self.learner.model, checkpoint.load(file, self.device))
        differences = restore(self, content, file.name)
        self.saving.goes_on_from(self.best_loss)
        return differences

    def run(self) -> None:
        """Train every epoch, then test the best one.

        Raises:
            TrainingError: the loss or a weight is no longer a number.
            StopRequested: the user asked to stop; the last checkpoint is saved.
        """
        self.control.begin_training(self)
        seconds = self.config.train.budget_seconds
        self._budget = Budget(seconds, self) if seconds is not None else None
        self.saving.later()
        try:
            self._run_epochs()
            self.control.end_training()
            run_test(self)
        finally:
            self.close()

    def close(self) -> None:
        """Write what is still to be written, and end the threads that served training."""
        self._plans.close()
        self._inputs.close()
        self.saving.writer.close()

    def _run_epochs(self) -> None:
        """Train the epochs that are left.

        Raises:
            TrainingError: the loss or a weight is no longer a number.
            StopRequested: the user asked to stop; the last checkpoint is saved.
        """
        while self.epoch < self.epochs or not self.epoch_is_done:
            try:
                self._run_epoch()
            except StopRequested:
                self._save_last()
                raise
            except NonFiniteError as error:
                if self.config.train.on_non_finite != "rollback":
                    raise TrainingError(f"{error}; try {self._cure()}") from None
                self._roll_back(str(error))
                continue
            self.control.end_epoch()

    @property
    def place(self) -> Place:
        """Where training goes on from what there is now."""
        return Place(self.epoch + 1, 0) if self.epoch_is_done else Place(self.epoch, self.step)

    @property
    def epochs(self) -> int:
        """Epochs to train in all; a command may change it."""
        return self.config.train.epochs

    @epochs.setter
    def epochs(self, epochs: int) -> None:
        self.config = self.config.replaced("train", epochs=epochs)
        self._plan_rates()

    def end_after(self, epochs: int, by: Literal["patience", "budget"]) -> None:
        """Train so many epochs in all, because the config says so."""
        self.epochs = epochs
        self.recorder.record(CommandApplied(command="epochs", by=by, value=float(epochs)))

    @property
    def progress(self) -> float:
        """Steps done of all, 0 to 1."""
        done = max(0, self.epoch - 1) * self.steps_per_epoch + self.step
        return min(1.0, done / (self.epochs * self.steps_per_epoch))

    @property
    def lr(self) -> float:
        """Learning rate of the next step; a command may change it, and with it all later ones."""
        return self.learner.optimizer.lr * self._share()

    @lr.setter
    def lr(self, lr: float) -> None:
        self.learner.optimizer.lr = lr / self._share()
        self._plan_rates()

    def _share(self) -> float:
        """What the schedule makes of the learning rate now; more than nothing, but at the end."""
        return rate_share(self.config.schedule, self.progress)

    def save_asked(self) -> str:
        """Save the latest state now, because a command asked for it; why it could not be, if so."""
        self._catch_up()
        return self.saving.save_asked()

    def begin_epoch(self) -> None:
        """Go to the next epoch, of which no steps are done."""
        self.epoch += 1
        self._forget_epoch()
        self.epoch_is_done = False

    def _run_epoch(self) -> None:
        """Train and validate the next epoch, or the rest of the one in hand."""
        if self.epoch_is_done:
            self.begin_epoch()
        self.recorder.record(EpochStarted(epoch=self.epoch, step=self.step))
        train_loss, train_accuracy = self.train_epoch()
        self._judge_weights()
        trained = self.control.clock()
        validation = self._validate() if self._is_to_be_validated() else None
        self.recorder.record(
            EpochFinished(
                epoch=self.epoch,
                train_loss=train_loss,
                train_accuracy=train_accuracy,
                val_loss=validation.loss if validation else math.nan,
                correct=validation.correct if validation else (),
                total=validation.total if validation else (),
                train_seconds=self.train_seconds,
                val_seconds=self.control.clock() - trained,
                confusion=validation.confusion if validation else (),
            )
        )
        self.epoch_is_done = True
        if validation is not None:
            self._judge(validation.loss)
        if self._budget is not None:
            self._budget.epoch_done()
        is_last = self.epoch >= self.epochs or self.control.stops_after_epoch
        if is_last or self.saving.is_due_after_epoch(self.control.clock()):
            if not len(self.data.val):
                self.saving.save_best(None)
            self._save_last()
        if validation is not None:
            self._write_validation_maps()

    def _is_to_be_validated(self) -> bool:
        due = self.epoch % self.config.train.validate_every == 0 or self.epoch >= self.epochs
        return due and len(self.data.val) > 0

    def _judge_weights(self) -> None:
        """See that there is something to validate and to save, which losses alone do not tell.

        Where no loss depends on a weight it is spoiled unseen. PyTorch 2.14 does so: of a padded
        depthwise convolution with a stride over maps of 1x1, in bf16 on a processor, the part of
        the gradient that is always 0 is memory that nobody wrote.

        Raises:
            NonFiniteError: there is not.
        """
        if not self.learner.weights.are_finite():
            self._not_finite(f"weights are no longer numbers after the steps of epoch {self.epoch}")

    def _judge(self, loss: float) -> None:
        """Keep the epoch if it is the best, by its validation loss; end if none has been for long.

        Raises:
            NonFiniteError: the loss is not a number.
        """
        if not math.isfinite(loss):
            self._not_finite(f"validation loss became {loss} in epoch {self.epoch}")
        elif loss <= self.best_loss:
            self.saving.save_best(loss)
        else:
            self._lose_patience()

    def _lose_patience(self) -> None:
        """End training if no epoch has been better for as long as the config says."""
        patience, best = self.config.train.patience, self.recorder.state.best
        if patience is None or best is None or self.epoch >= self.epochs:
            return
        if (since := self.epoch - best.epoch) >= patience:
            text = f"No epoch was better than {best.epoch} for {since} epochs"
            self.recorder.record(Notice(text=f"{text}; training ends, as train.patience says"))
            self.end_after(self.epoch, by="patience")

    def train_epoch(self) -> tuple[float, float]:
        """Train on every image once; return the mean loss and the accuracy, as images were seen.

        Both stay on the device until someone is to see them: nothing here waits for a GPU, but
        where it is too far behind. Steps that are done already are passed over.
        """
        clock, sizes, queue = self.control.clock, self._sizes(), self._queue
        self._inputs.begin_epoch(self._plans.get(self.epoch), self.step)
        self.learner.begin_epoch(self.epoch)
        self._plan_rates()
        queue.begin(self.step)
        meter = self._meter = StepMeter(
            self.recorder,
            clock,
            self._parts,
            self.epoch,
            sizes,
            self._rates,
            self._losses_of,
            self.step,
        )
        began = clock() - self.train_seconds
        for size in sizes[self.step :]:
            self._inputs.stage()
            self._graphs.run(self.learner.kind(size))
            self.step += 1
            if self.learner.average is not None:
                self.learner.average.steps += 1
            queue.launched(self.step)
            if self.step == len(sizes):
                queue.wait(self.step)
            self.train_seconds = clock() - began
            if self._budget is not None:
                self._budget.step_done()
            if trouble := meter.step_done(queue.done):
                self._not_finite(trouble)
            self._say_of_graphs()
            self.saving.writer.poll()
            self.control.check()
            if self.saving.is_due(clock()):
                self._save_last()
        weighted = self.losses.cpu().double() @ torch.tensor(sizes, dtype=torch.float64)
        count = len(self.data.train)
        return weighted.item() / count, self.correct.item() / count

    def _train_step(self, kind: StepKind) -> None:
        """Do the next step: from tensors on the device to tensors on the device, and no others."""
        learner, parts = self.learner, self._parts
        parts.begin_step()
        learner.optimizer.current_lr, weight = self._inputs.scalars()
        images, labels = self._inputs.batch(kind.size)
        parts.done("data")
        logits, loss = learner.train_step(images, labels)
        self.correct += (logits.argmax(dim=1) == labels).sum()
        if learner.average is not None and kind.takes_average:
            learner.average.update(weight)
        self._inputs.record(self.losses, loss)
        parts.end_step()

    def _captures_steps(self) -> bool:
        """Return whether steps are to be captured as a CUDA graph."""
        return (
            self.device.type == "cuda"
            and self.config.train.graph == "auto"
            and self.learner.precision != "fp16"
        )

    def _say_of_graphs(self) -> None:
        """Record that steps are replayed from now on, or why they cannot be."""
        for reason in self._graphs.news:
            self.recorder.record(StepsCaptured(reason=reason))
        self._graphs.news.clear()

    def _plan_rates(self) -> None:
        """Set the learning rate, and the weight in the average, of the epoch's steps to come."""
        optimizer, average = self.learner.optimizer, self.learner.average
        first, steps = self.step, self.steps_per_epoch
        done, every = max(0, self.epoch - 1) * steps, self.epochs * steps
        schedule = self.config.schedule
        self._rates[first:] = [
            optimizer.lr * rate_share(schedule, min(1.0, (done + step) / every))
            for step in range(first, steps)
        ]
        weights = [0.0] * (steps - first)
        if average is not None:
            weights = [
                average.weight(step + 1 - first, min(1.0, (done + step + 1) / every))
                for step in range(first, steps)
            ]
        self._inputs.set_scalars(first, [*zip(self._rates[first:], weights, strict=True)])

    def _losses_of(self, first: int, end: int) -> list[float]:
        """Return the losses of the steps from one to before another, all of them done."""
        losses: list[float] = self._queue.to_host(self.losses[first:end]).tolist()
        return losses

    def _plan_epoch(self, epoch: int) -> EpochPlan:
        """Draw the order of an epoch, and how its images are to be seen."""
        train = self.config.train
        order = epoch_order(self.data.train, train.seed, epoch)
        return plan_epoch(order, self._views(order, epoch), train.batch_size)

    def _views(self, order: Tensor, epoch: int) -> AugmentParams | None:
        """Draw how images are to be seen in an epoch, in its order."""
        config, images = self.config, self.data.images
        return sample_params(
            config.augment, order, images, config.data.mean, config.train.seed, epoch
        )

    def _validate(self) -> Evaluation:
        throttle = Throttle(EVENT_SECONDS)

        def progress(images: int) -> None:
            self.control.check()
            if throttle.due():
                self.recorder.record(ValidationProgressed(epoch=self.epoch, images=images))

        self.recorder.record(ValidationProgressed(epoch=self.epoch, images=0))
        with self.learner.averaged():
            return self.learner.evaluate(self.data.val, progress)

    def _write_layers(self) -> None:
        """Write `model.json`."""
        images, _ = next(self.batches.batches(self.data.train[:1], 1))
        path = self.recorder.run.path / LAYERS_FILE
        with self.learner.arithmetic():
            write_layers(
                self.learner.model, images, path, self.saving.writer, warn=self.say_trouble
            )

    def _write_validation_maps(self) -> None:
        """Write the current model's feature maps for some validation images, if there are any."""
        if not len(self.data.val):
            return
        indices = samples_per_class(self.data, self.data.val)
        with self.learner.averaged():
            self.write_feature_maps("validation", indices, self.epoch)

    def write_feature_maps(self, part: Part, indices: Tensor, epoch: int) -> None:
        """Write `maps.bin`: the current weights' feature maps for sample images.

        Args:
            part: Split that the images are from.
            indices: int64 [n], which images.
            epoch: Epoch that the weights are from.
        """
        learner = self.learner
        if not learner.weights.are_finite():
            self.say_trouble(f"{MAPS_FILE} is not updated: the model's weights are NaN or infinite")
            return
        samples = SampleImages.from_dataset(self.data, self.config.data, part, indices)
        images, _ = next(self.batches.batches(indices, len(indices)))
        with learner.arithmetic():
            write_feature_maps(
                lambda: feature_maps(
                    learner.model, images, samples, learner.weights.state_dict(), epoch
                ),
                self.recorder.run.path / MAPS_FILE,
                self.saving.writer,
                warn=self.say_trouble,
            )

    def _not_finite(self, what: str) -> None:
        """Do what the config says of a loss or weights that are not numbers.

        Raises:
            NonFiniteError: it does not say to go on all the same.
        """
        if self.config.train.on_non_finite != "continue":
            raise NonFiniteError(what)
        self._say_once(f"epoch {self.epoch}", f"{what}; training goes on all the same, as asked")

    def _cure(self) -> str:
        """What may help where losses or weights are no longer numbers."""
        is_full = self.learner.precision == "fp32"
        return "a lower optimizer.lr" + ("" if is_full else ', or train.precision = "fp32"')

    def say_trouble(self, trouble: str) -> None:
        """Say what went wrong, if anything, without ending the run."""
        if trouble:
            self._say_once(trouble, trouble)

    def _say_once(self, what: str, text: str) -> None:
        """Say something that is true of the whole epoch."""
        if what not in self._said:
            self._said.add(what)
            self.recorder.record(Notice(text=text))

    def _roll_back(self, reason: str) -> None:
        """Go back to the last checkpoint, or to the beginning, and on at half the learning rate.

        Raises:
            TrainingError: that has been done often enough.
            DataError: there are checkpoints, and all are damaged.
        """
        lr, rollbacks = self.lr / 2, self.rollbacks + 1
        if rollbacks > MOST_ROLLBACKS:
            raise TrainingError(f"{reason}; gave up after {MOST_ROLLBACKS} rollbacks")
        self.saving.writer.wait()
        found = newest(self.recorder.run.path)
        self._build(begins=found is None)
        if found is not None:
            set_damaged_aside(found, self.recorder)
            self._restore(found.path)
        self.lr, self.rollbacks = lr, rollbacks
        file = found.path.name if found else ""
        place = self.place
        self.recorder.record(
            RolledBack(epoch=place.epoch, step=place.step, file=file, lr=lr, reason=reason)
        )

    def _save_last(self) -> None:
        """Save the latest state; a disk that refuses costs a notice, not the run."""
        self._catch_up()
        self.saving.save_last()

    def _catch_up(self) -> None:
        """Wait for the steps that are launched, and record them, so that the log tells of them."""
        if self._meter is not None:
            self._queue.wait(self.step)
            self._meter.tell(self.step)
