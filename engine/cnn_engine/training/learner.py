"""What learns: the model, its weights, what changes them, and the arithmetic that they meet in."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, log_softmax, nll_loss

from cnn_engine.config.schema import Config
from cnn_engine.data.dataset import DataSet
from cnn_engine.data.loader import TensorLoader, batch_sizes
from cnn_engine.evaluation.evaluate import Evaluation, evaluate
from cnn_engine.models.hooks import MAX_INIT_IMAGES, BeginEpoch, InitFromImages
from cnn_engine.models.user_model import check_model
from cnn_engine.system.device import DTYPES, arithmetic, choose_precision
from cnn_engine.training.ema import Average
from cnn_engine.training.flat_parameters import Weights
from cnn_engine.training.optimizers import build_optimizer
from cnn_engine.training.step_graphs import plain_attributes
from cnn_engine.training.step_timer import StepParts

BENCHMARK_STEPS = 5_000
"""Steps of a run from which cuDNN tries its algorithms out: it takes a third of a second, and makes
steps a few percent shorter, if at all."""


class StepKind(NamedTuple):
    """Properties that steps captured as one CUDA graph must share."""

    size: int
    """Images in its batch."""

    takes_average: bool
    """True if the average of the weights is updated after the step."""

    model_state: frozenset[tuple[str, object]]
    """Attributes of the model that its `begin_epoch` may have set; empty if it has no such hook."""


class Learner:
    """A model that can be trained a step and evaluated; it knows nothing of epochs."""

    def __init__(
        self,
        model: nn.Module,
        config: Config,
        data: DataSet,
        batches: TensorLoader,
        parts: StepParts,
    ) -> None:
        """Move the model to where the batches are, and stand before the first step.

        Args:
            model: With its initial weights.
            config: What to train.
            data: The images.
            batches: The same, on the device.
            parts: Told where the time of a step goes.

        Raises:
            ConfigError: the model will not do, or the precision is not to be had.
        """
        self.model, self._batches, self._parts = model, batches, parts
        self.device = batches.device
        self.precision = choose_precision(config.train, self.device)
        self._class_count = len(data.classes)
        self._smoothing = config.train.label_smoothing
        steps = len(batch_sizes(len(data.train), config.train.batch_size))
        self._benchmarks = config.train.epochs * steps >= BENCHMARK_STEPS
        self._model_state: frozenset[tuple[str, object]] = frozenset()
        self._fit_model(config, data)
        self.weights = Weights(self.model, DTYPES[self.precision])
        self.optimizer = build_optimizer(config.optimizer, self.weights)
        has_average = config.average.kind != "none"
        self.average = Average(config.average, self.model, self.weights) if has_average else None
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.precision == "fp16")
        self.class_weights = (
            None if config.train.class_weights == "none" else balanced(data).to(self.device)
        )

    def _fit_model(self, config: Config, data: DataSet) -> None:
        """Bring the model to the device and, if it looks at images first, to these; check it."""
        self.model.to(self.device).to(memory_format=torch.channels_last)
        if isinstance(self.model, InitFromImages):
            self.model.init_from_images(self._some(data.train[:MAX_INIT_IMAGES]))
        if config.model.min_image_size is None:
            # With the smallest batch of an epoch: batch norm, for example, fails on one value.
            size = min(batch_sizes(len(data.train), config.train.batch_size))
            images = self._some(data.train[:size])
            check_model(self.model, images, self._class_count, config.model.name)

    def _some(self, indices: Tensor) -> Tensor:
        """These images, as the model is to have them."""
        images, _ = next(self._batches.batches(indices, len(indices)))
        return images

    def begin_epoch(self, epoch: int) -> None:
        """Make ready for the steps of an epoch, or of what is left of it, counted from 1."""
        self.model.train()
        if isinstance(self.model, BeginEpoch):
            self.model.begin_epoch(epoch)
            state = frozenset(plain_attributes(self.model).items())
            if state != self._model_state:  # of equal sets one is kept, as it hashes faster
                self._model_state = state

    def kind(self, size: int) -> StepKind:
        """Return the kind of the next step, for a batch of `size` images."""
        return StepKind(
            size=size,
            takes_average=self.average is not None and self.average.is_due(),
            model_state=self._model_state,
        )

    def train_step(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Change the weights once, by the optimizer's `current_lr`; nothing waits for the device.

        Args:
            images: float [n, C, H, W], normalised.
            labels: int64 [n].

        Returns:
            Logits [n, classes], and the loss, [], without label smoothing and class weights, so
            that it compares with that of validation.
        """
        with arithmetic(self.device, self.precision, benchmark=self._benchmarks):
            logits = self.model(images)
            loss, reported = self._losses(logits, labels)
            self._parts.done("forward")
            self.weights.clear_gradients()
            with torch.autocast(self.device.type, enabled=False):
                torch.autograd.backward(self.scaler.scale(loss))
            self.weights.gather_gradients()
        self._parts.done("backward")
        self.scaler.step(self.optimizer)  # type: ignore[arg-type]  # has all that it looks for
        self.scaler.update()
        self.weights.publish()
        self._parts.done("optimizer")
        return logits.detach(), reported

    def _losses(self, logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss to descend on and the plain cross-entropy, from one softmax.

        With smoothing s and class weights w, as `torch.nn.functional.cross_entropy` has them.
        """
        smoothing, weights = self._smoothing, self.class_weights
        if weights is None and not smoothing:
            loss = cross_entropy(logits, labels)
            return loss, loss.detach()
        logs = log_softmax(logits.float(), dim=1)
        reported = nll_loss(logs.detach(), labels)
        loss = nll_loss(logs, labels, weights)
        if smoothing:
            if weights is None:
                spread = -logs.mean()
            else:
                total = weights.index_select(0, labels).sum()
                spread = -(logs * weights).sum() / (logs.shape[1] * total)
            loss = (1 - smoothing) * loss + smoothing * spread
        return loss, reported

    def arithmetic(self) -> AbstractContextManager[None]:
        """Compute in the precision that it trains in."""
        return arithmetic(self.device, self.precision)

    def averaged(self) -> AbstractContextManager[None]:
        """The model has the average as its weights meanwhile, if there is one."""
        return self.average.in_place() if self.average else nullcontext()

    def evaluate(
        self, indices: Tensor, progress: Callable[[int], None], model: nn.Module | None = None
    ) -> Evaluation:
        """How well the model, or another one in the same arithmetic, does on some images.

        Args:
            indices: int64 [n], which images.
            progress: Told the number of images done so far after each batch; may raise to stop.
            model: Another one, such as the model over several views of an image.
        """
        model = self.model if model is None else model
        with self.arithmetic():
            return evaluate(model, self._batches, indices, self._class_count, progress)


def balanced(data: DataSet) -> Tensor:
    """What the loss of an image counts by its class, so that each class counts: fp32 [classes]."""
    counts = data.labels[data.train].bincount(minlength=len(data.classes))
    return len(data.train) / (len(counts) * counts)
