"""How well a model does on images it does not learn from."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from cnn_engine.batches import Batches
from cnn_engine.events import Confusion

EVALUATION_PIXELS = {"cpu": 2**18, "cuda": 2**22}
"""Pixels at a time, 256 or 4,096 images of 32×32: enough to keep the arithmetic busy; on a CPU
few enough for its cache, and for what they take of memory."""

MOST_IMAGES = 4_096
"""Images at a time, however small they are."""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Counts rather than rates, so that figures can be made from them exactly."""

    loss: float
    """Mean cross-entropy over the images."""

    correct: tuple[int, ...]
    """Images classified right, per class."""

    total: tuple[int, ...]
    """Images, per class."""

    confusion: Confusion
    """Images classified wrong, per pair of true and predicted class."""


@torch.inference_mode()
def evaluate(
    model: nn.Module,
    batches: Batches,
    indices: Tensor,
    class_count: int,
    progress: Callable[[int], None],
) -> Evaluation:
    """Run the model over the images at `indices`, in evaluation mode, which it stays in.

    Args:
        model: Gives scores [N, classes].
        batches: Where the images are.
        indices: int64 [M].
        class_count: Number of classes.
        progress: Told the number of images done so far after each batch; may raise to stop.
    """
    model.eval()
    losses, predictions, labels, done = [], [], [], 0
    for images, truth in batches.cut(indices, _batch_size(batches)):
        scores = model(images)
        losses.append(cross_entropy(scores, truth, reduction="sum"))
        predictions.append(scores.argmax(dim=1))
        labels.append(truth)
        done += len(truth)
        progress(done)
    truth, predicted = torch.cat(labels), torch.cat(predictions)
    right = truth[predicted == truth]
    return Evaluation(
        loss=torch.stack(losses).double().sum().item() / len(indices),
        correct=tuple(torch.bincount(right, minlength=class_count).tolist()),
        total=tuple(torch.bincount(truth, minlength=class_count).tolist()),
        confusion=_confusion(truth, predicted, class_count),
    )


def _batch_size(batches: Batches) -> int:
    _, height, width, _ = batches.images.shape
    pixels = EVALUATION_PIXELS.get(batches.device.type, EVALUATION_PIXELS["cpu"])
    return min(MOST_IMAGES, max(1, pixels // (height * width)))


def _confusion(truth: Tensor, predicted: Tensor, class_count: int) -> Confusion:
    """The pairs of unlike classes, counted where the tensors are: int64 [N] both."""
    wrong = predicted != truth
    pairs, counts = torch.unique(truth[wrong] * class_count + predicted[wrong], return_counts=True)
    return tuple(
        (pair // class_count, pair % class_count, count)
        for pair, count in zip(pairs.tolist(), counts.tolist(), strict=True)
    )
