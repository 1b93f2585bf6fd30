"""Runs a model over labelled images and counts correct and misclassified ones."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from cnn_engine.data.loader import TensorLoader, batch_sizes
from cnn_engine.distributed.processes import ALONE, Processes
from cnn_engine.results.metrics import MIN_CLASSES_FOR_TOP5
from cnn_engine.runlog.best_metric import macro_f1
from cnn_engine.runlog.events import Bins, Confusion

EVALUATION_PIXELS = {"cpu": 2**16, "cuda": 2**22}
"""Pixels per batch by device type: 64 or 4,096 images of 32×32. Enough to keep the device busy; on
a CPU small enough for its cache and for the memory of a training step."""

MIN_BATCH, MAX_BATCH = 8, 4_096
"""Limits of the evaluation batch size, in images."""

BIN_COUNT = 10
"""Number of confidence bins, of width 0.1."""


@dataclass(frozen=True, kw_only=True)
class ImagePredictions:
    """The model's prediction for each image, in the order of the indices; on the host."""

    targets: Tensor
    """int64 [M], true classes."""

    predicted: Tensor
    """int64 [M], classes with the largest logit."""

    confidence: Tensor
    """double [M], probabilities of the predicted classes; 0 if the probability is NaN."""

    target_confidence: Tensor
    """double [M], probabilities of the true classes, likewise."""

    rank: Tensor
    """int64 [M], ranks of the true classes by logit; 1 is correct."""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Result of an evaluation as counts, from which metrics can be computed exactly."""

    loss: float
    """Mean cross-entropy over the images."""

    correct: tuple[int, ...]
    """Correctly classified images per class."""

    total: tuple[int, ...]
    """Images per class."""

    confusion: Confusion
    """Misclassified images per (true class, predicted class)."""

    top5: int | None
    """Images with the true class among the five largest logits; None with too few classes."""

    bins: Bins
    """Images, correct images and sum of confidences per confidence bin."""

    predictions: ImagePredictions
    """Prediction for each image."""

    @property
    def macro_f1(self) -> float:
        """Mean F1 of the classes that occur or are predicted, 0 to 1."""
        return macro_f1(self.correct, self.total, self.confusion)


@torch.inference_mode()
def evaluate(  # noqa: PLR0913, PLR0917 - model, images, and who evaluates them
    model: nn.Module,
    loader: TensorLoader,
    indices: Tensor,
    class_count: int,
    progress: Callable[[int], None],
    processes: Processes = ALONE,
) -> Evaluation:
    """Evaluate the model on the images at `indices`; the model stays in evaluation mode.

    Several processes evaluate some of the batches each, and all of them return the same result:
    that of one process, to the bit.

    Args:
        model: Normalized images [N, C, H, W] to logits [N, classes].
        loader: The images and labels.
        indices: int64 [M], M > 0.
        class_count: Number of classes.
        progress: Called after each batch with the number of images done; may raise to stop. In all
            processes it is called equally often.
        processes: The processes that evaluate together.
    """
    model.eval()
    count, size = len(indices), evaluation_batch_size(loader.device, *loader.images.shape[1:3])
    batches = len(batch_sizes(count, size))
    own = processes.share(batches)
    done, end = own.start * size, min(count, own.stop * size)
    # Results are preallocated: small tensors allocated between large temporary ones fragment the
    # heap, and memory would grow from batch to batch. They are 0 where other processes compute.
    losses = torch.zeros(batches, device=loader.device)
    confidences = torch.zeros(2, count, device=loader.device)
    classes = torch.zeros(3, count, dtype=torch.int64, device=loader.device)
    targets, predicted, rank = classes
    confidence, target_confidence = confidences
    for number, (images, labels) in enumerate(loader.batches(indices[done:end], size), own.start):
        logits = model(images)
        losses[number] = cross_entropy(logits, labels, reduction="sum")
        batch = slice(done, done + len(labels))
        targets[batch] = labels
        predicted[batch], confidences[:, batch], rank[batch] = _predictions(logits, labels)
        done = batch.stop
        progress(min(count, (number - own.start + 1) * size * processes.count))
    for _ in range(processes.largest_share(batches) - (own.stop - own.start)):
        progress(count)
    for results in (losses, confidences, classes):
        processes.add(results)
    predictions = ImagePredictions(
        targets=targets.cpu(),
        predicted=predicted.cpu(),
        confidence=confidence.cpu().double(),
        target_confidence=target_confidence.cpu().double(),
        rank=rank.cpu(),
    )
    correct = predictions.targets[predictions.predicted == predictions.targets]
    has_top5 = class_count >= MIN_CLASSES_FOR_TOP5
    return Evaluation(
        loss=losses.cpu().double().sum().item() / count,
        correct=tuple(torch.bincount(correct, minlength=class_count).tolist()),
        total=tuple(torch.bincount(predictions.targets, minlength=class_count).tolist()),
        confusion=_confusion(predictions, class_count),
        top5=int((predictions.rank <= 5).sum()) if has_top5 else None,
        bins=_bins(predictions),
        predictions=predictions,
    )


def _predictions(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return predicted classes [n], confidences [2, n] and ranks of the true classes [n].

    All are on the device. Confidences are those of the predicted and of the true classes.

    Args:
        logits: [n, classes].
        targets: int64 [n].
    """
    predicted = logits.argmax(dim=1)
    labels = torch.stack([predicted, targets], dim=1)
    confidences = logits.float().softmax(dim=1).gather(1, labels).T
    # argmax takes the first of equal logits, so equal logits of earlier classes rank ahead.
    class_index, target = torch.arange(logits.shape[1], device=logits.device), targets[:, None]
    target_logit = logits.gather(1, target)
    is_tied_ahead = (logits == target_logit) & (class_index < target)
    ahead = ((logits > target_logit) | is_tied_ahead).sum(dim=1)
    # NaN is no answer: the true class is not among the first.
    ahead = torch.where(logits.isnan().any(dim=1), logits.shape[1] - 1, ahead.clamp(min=1))
    rank = torch.where(predicted == targets, 1, ahead + 1)
    return predicted, confidences.nan_to_num(), rank


def evaluation_batch_size(device: torch.device, height: int, width: int) -> int:
    """Return the number of images of a size that a device evaluates at once."""
    pixels = EVALUATION_PIXELS.get(device.type, EVALUATION_PIXELS["cpu"])
    return min(MAX_BATCH, max(MIN_BATCH, pixels // (height * width)))


def _confusion(predictions: ImagePredictions, class_count: int) -> Confusion:
    wrong = predictions.predicted != predictions.targets
    pairs, counts = torch.unique(
        predictions.targets[wrong] * class_count + predictions.predicted[wrong],
        return_counts=True,
    )
    return tuple(
        (pair // class_count, pair % class_count, count)
        for pair, count in zip(pairs.tolist(), counts.tolist(), strict=True)
    )


def _bins(predictions: ImagePredictions) -> Bins:
    edges = torch.linspace(0, 1, BIN_COUNT + 1, dtype=torch.float64)[1:-1]
    bins = torch.bucketize(predictions.confidence, edges)
    correct = bins[predictions.predicted == predictions.targets]
    return tuple(
        zip(
            torch.bincount(bins, minlength=BIN_COUNT).tolist(),
            torch.bincount(correct, minlength=BIN_COUNT).tolist(),
            torch.bincount(bins, predictions.confidence, minlength=BIN_COUNT).tolist(),
            strict=True,
        )
    )
