"""A model with its parameters, optimizer and precision: one training step, and evaluation."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, log_softmax, nll_loss

from cnn_engine.config.schema import Config
from cnn_engine.data.class_weights import balanced_class_weights
from cnn_engine.data.dataset import DataSet
from cnn_engine.data.loader import TensorLoader, train_batch_sizes
from cnn_engine.distributed.processes import ALONE, Processes
from cnn_engine.evaluation.evaluate import Evaluation, evaluate
from cnn_engine.models.hooks import BeginEpoch
from cnn_engine.models.running_statistics import running_statistics
from cnn_engine.system.device import DTYPES, autocast, choose_precision
from cnn_engine.training.ema import WeightEMA
from cnn_engine.training.flat_parameters import EXCHANGED_NUMBERS, FlatParameters
from cnn_engine.training.optimizers import build_optimizer
from cnn_engine.training.step_graphs import plain_attributes
from cnn_engine.training.step_inputs import Shares
from cnn_engine.training.step_timer import StepTimer

BENCHMARK_STEPS = 5_000
"""Minimum number of steps of a run for which cuDNN benchmarks its algorithms: that takes a third of
a second and makes steps at most a few percent faster."""


class StepKind(NamedTuple):
    """Properties that steps captured as one CUDA graph must share."""

    size: int
    """Images in its batch."""

    updates_average: bool
    """True if the step updates the average of the weights."""

    model_state: frozenset[tuple[str, object]]
    """Attributes of the model that its `begin_epoch` may have set; empty if it has no such hook."""


class StepResult(NamedTuple):
    """Results of a training step, on the device; those of other processes are included."""

    correct: Tensor
    """Correct predictions, []."""

    loss: Tensor
    """The loss, [], without label smoothing and class weights, so that it is comparable with the
    validation loss."""

    logits: Tensor
    """[n, classes], of this process's images only; without gradient."""


class Learner:
    """A model that can be trained by one step, and evaluated. It does not count epochs."""

    def __init__(  # noqa: PLR0913, PLR0917 - the parts of a step
        self,
        model: nn.Module,
        config: Config,
        data: DataSet,
        loader: TensorLoader,
        timer: StepTimer,
        processes: Processes = ALONE,
    ) -> None:
        """Prepare to train.

        Args:
            model: The model, with its initial weights, on the loader's device.
            config: The run's config.
            data: The images.
            loader: The same, on the device.
            timer: Measures the phases of a step.
            processes: The processes that train the same model together.

        Raises:
            ConfigError: the precision is not available.
        """
        self.model, self._loader, self._timer = model, loader, timer
        self.processes = processes
        self.exchange_seconds = 0.0
        """Time for which the host has waited for the gradients of other processes."""
        self.device = loader.device
        self.precision = choose_precision(config.train, self.device)
        self._class_count = len(data.classes)
        self._model_state: frozenset[tuple[str, object]] = frozenset()
        self._smoothing = config.train.label_smoothing
        steps = len(train_batch_sizes(len(data.train), config.train.batch_size))
        self._benchmarks = config.train.epochs * steps >= BENCHMARK_STEPS
        self.weights = FlatParameters(self.model, DTYPES[self.precision])
        self.optimizer = build_optimizer(config.optimizer, self.weights)
        has_average = config.average.kind != "none"
        self.ema = WeightEMA(config.average, self.model, self.weights) if has_average else None
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.precision == "fp16")
        self.class_weights = (
            None
            if config.train.class_weights == "none"
            else balanced_class_weights(data).to(self.device)
        )

    def begin_epoch(self, epoch: int) -> None:
        """Prepare for the steps of an epoch, counted from 1."""
        self.model.train()
        if isinstance(self.model, BeginEpoch):
            self.model.begin_epoch(epoch)
            state = frozenset(plain_attributes(self.model).items())
            if state != self._model_state:  # an equal set is not replaced: its hash is cached
                self._model_state = state

    def kind(self, size: int) -> StepKind:
        """Return the kind of the next step, for a batch of `size` images."""
        return StepKind(
            size=size,
            updates_average=self.ema is not None and self.ema.is_due(),
            model_state=self._model_state,
        )

    def train_step(
        self, images: Tensor, targets: Tensor, shares: Shares | None = None
    ) -> StepResult:
        """Update the weights once with the optimizer's `current_lr`, without a host sync.

        Args:
            images: float [n, C, H, W], normalized: this process's part of the batch.
            targets: int64 [n].
            shares: The parts of the batch that these images are; None if they are all of it.
        """
        with autocast(self.device, self.precision, benchmark=self._benchmarks):
            logits = self.model(images)
            loss, reported_loss = self._losses(logits, targets)
            correct = (logits.detach().argmax(dim=1) == targets).sum()
            if shares is not None:
                loss, reported_loss = loss * shares.weights, reported_loss * shares.images
                correct = correct * (shares.images > 0)
            self._timer.mark("forward")
            self.weights.zero_grad()
            with torch.autocast(self.device.type, enabled=False):
                torch.autograd.backward(self.scaler.scale(loss))
            self.weights.gather_gradients()
        self._timer.mark("backward")
        if shares is not None:
            reported_loss, correct = self._exchange(reported_loss, correct)
        unused = self._unused_values()
        self.scaler.step(self.optimizer)  # type: ignore[arg-type]  # has the attributes it uses
        self.scaler.update()
        for values, before in unused:
            values.copy_(before)
        self.weights.copy_to_model()
        self._timer.mark("optimizer")
        return StepResult(correct, reported_loss, logits.detach())

    def _exchange(self, loss: Tensor, correct: Tensor) -> tuple[Tensor, Tensor]:
        """Add the gradients, losses and correct predictions of all processes; return the latter.

        They are exchanged at once, behind the gradient: a message takes longer than its bytes.
        """
        numbers = self.weights.exchanged[-EXCHANGED_NUMBERS:]
        numbers.copy_(torch.stack([loss.float(), correct.float()]))
        began = time.perf_counter()
        self.processes.add(self.weights.exchanged)
        self.exchange_seconds += time.perf_counter() - began
        self._timer.mark("exchange")
        loss, correct = numbers.clone()
        return loss, correct.long()

    def copy_from_first(self) -> None:
        """Use the weights, and the optimizer's tensors, of the first process in all of them."""
        state = self.weights.state_dict().values()
        self.processes.copy_from_first([*state, *self.optimizer.flat_tensors])
        self.weights.copy_to_model()

    def checksum(self) -> str:
        """Return the sum of the bits of all weights and of the optimizer's tensors."""
        tensors = [tensor.detach().view(torch.int32) for tensor in self.optimizer.flat_tensors]
        return " ".join(str(tensor.sum(dtype=torch.int64).item()) for tensor in tensors)

    def average_statistics(self) -> None:
        """Average the running statistics of batch norm over the processes.

        Those of each process come from its own images. Training does not depend on them.
        """
        if self.processes.is_alone:
            return
        statistics = running_statistics(self.model)
        averages = self.ema.averages_of(statistics) if self.ema else []
        self.processes.average([*statistics, *averages])

    def _unused_values(self) -> list[tuple[Tensor, Tensor]]:
        """Return views of weights and optimizer state that have no gradient, each with a copy.

        An optimizer of PyTorch skips them too: without a gradient, momentum and weight decay would
        still change them.
        """
        views = [
            flat[position]
            for flat in self.optimizer.flat_tensors
            for position in self.weights.unused
        ]
        return [(view, view.clone()) for view in views]

    def _losses(self, logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss to minimize and the plain cross-entropy, from one softmax.

        The former is `torch.nn.functional.cross_entropy` with label smoothing and class weights.
        """
        smoothing, weights = self._smoothing, self.class_weights
        if weights is None and not smoothing:
            loss = cross_entropy(logits, targets)
            return loss, loss.detach()
        log_probabilities = log_softmax(logits.float(), dim=1)
        reported_loss = nll_loss(log_probabilities.detach(), targets)
        loss = nll_loss(log_probabilities, targets, weights)
        if smoothing:
            if weights is None:
                uniform = -log_probabilities.mean()
            else:
                total = weights.index_select(0, targets).sum()
                classes = log_probabilities.shape[1]
                uniform = -(log_probabilities * weights).sum() / (classes * total)
            loss = (1 - smoothing) * loss + smoothing * uniform
        return loss, reported_loss

    def autocast(self) -> AbstractContextManager[None]:
        """Compute in the precision of training within the block."""
        return autocast(self.device, self.precision)

    def averaged(self) -> AbstractContextManager[None]:
        """Use the average as the model's weights within the block, if there is one."""
        return self.ema.applied() if self.ema else nullcontext()

    def not_averaged(self) -> AbstractContextManager[None]:
        """Use the trained weights within the block, also inside `averaged`."""
        return self.ema.suspended() if self.ema else nullcontext()

    def evaluate(self, indices: Tensor, progress: Callable[[int], None]) -> Evaluation:
        """Evaluate the model on some images.

        Args:
            indices: int64 [n], positions of the images.
            progress: Called after each batch with the number of images done; may raise to stop.
        """
        with self.autocast():
            return evaluate(
                self.model, self._loader, indices, self._class_count, progress, self.processes
            )

    def model_state_dict(self) -> dict[str, Tensor]:
        """Return the weights to use the model with, fp32: the average if there is one."""
        weights: dict[str, Tensor] = (
            self.ema.state_dict()["model"] if self.ema else self.weights.state_dict()
        )
        return weights

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the model, the optimizer, the average and the loss scaler.

        Tensors are not copied. State tensors of the optimizer are dicts by parameter name.
        """
        return {
            "model": self.weights.state_dict(),
            "average": self.ema.state_dict() if self.ema else None,
            "optimizer": self._optimizer_state(),
            "scaler": self.scaler.state_dict(),
        }

    def _optimizer_state(self) -> dict[str, Any]:
        weights = self.weights
        return {
            key: weights.by_name(value)
            if isinstance(value, Tensor) and value.shape == weights.flat.shape
            else value
            for key, value in self.optimizer.state_dict().items()
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a state that `state_dict` returned."""
        self.weights.load_state_dict(state["model"])
        self.optimizer.load_state_dict(
            {
                key: self.weights.flattened(value) if isinstance(value, dict) else value
                for key, value in state["optimizer"].items()
            }
        )
        if self.ema and state.get("average"):
            self.ema.load_state_dict(state["average"])
        if self.scaler.is_enabled() and state["scaler"]:
            self.scaler.load_state_dict(state["scaler"])
