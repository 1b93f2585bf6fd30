"""How well a model does on images it does not learn from."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from cnn_engine.data.loader import TensorLoader, batch_sizes
from cnn_engine.results.metrics import LEAST_CLASSES_FOR_TOP5
from cnn_engine.runlog.events import Bins, Confusion

EVALUATION_PIXELS = {"cpu": 2**16, "cuda": 2**22}
"""Pixels at a time, 64 or 4,096 images of 32×32: enough to keep the arithmetic busy; on a CPU few
enough for its cache, and to take no more memory than a step of training does."""

LEAST_IMAGES, MOST_IMAGES = 8, 4_096
"""Images at a time, however large or small they are."""

BIN_COUNT = 10
"""Bins of confidence: tenths, which a table of them is read by at a glance."""


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What the model said of each image, in the order asked; on the host."""

    truth: Tensor
    """int64 [M], classes of the images."""

    predicted: Tensor
    """int64 [M], classes that the model finds likeliest."""

    confidence: Tensor
    """double [M], probabilities that it gives to these; 0 where it has none that is a number."""

    rank: Tensor
    """int64 [M], places of the true classes among the model's answers, from 1: right."""


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

    top5: int | None
    """Images whose class is among the five likeliest; None of so few classes that it says nothing.
    """

    bins: Bins
    """How right the model was, by how confident it was."""

    answers: Answers


@torch.inference_mode()
def evaluate(
    model: nn.Module,
    batches: TensorLoader,
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
    count, size, done = len(indices), _batch_size(batches), 0
    # What is kept of each batch has its place beforehand: small pieces that stay between the large
    # ones that are freed would leave no room for those of the next batch, and memory would grow.
    losses = torch.empty(len(batch_sizes(count, size)), device=batches.device)
    confidence = torch.empty(count, device=batches.device)
    truth, predicted, rank = torch.empty(3, count, dtype=torch.int64, device=batches.device)
    for number, (images, labels) in enumerate(batches.batches(indices, size)):
        scores = model(images)
        losses[number] = cross_entropy(scores, labels, reduction="sum")
        here = slice(done, done + len(labels))
        truth[here] = labels
        predicted[here], confidence[here], rank[here] = _judged(scores, labels)
        done = here.stop
        progress(done)
    answers = Answers(
        truth=truth.cpu(),
        predicted=predicted.cpu(),
        confidence=confidence.cpu().double(),
        rank=rank.cpu(),
    )
    right = answers.truth[answers.predicted == answers.truth]
    has_top5 = class_count >= LEAST_CLASSES_FOR_TOP5
    return Evaluation(
        loss=losses.cpu().double().sum().item() / count,
        correct=tuple(torch.bincount(right, minlength=class_count).tolist()),
        total=tuple(torch.bincount(answers.truth, minlength=class_count).tolist()),
        confusion=_confusion(answers, class_count),
        top5=int((answers.rank <= 5).sum()) if has_top5 else None,
        bins=_bins(answers),
        answers=answers,
    )


def _judged(scores: Tensor, truth: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Predicted class, confidence and rank of a batch's images, all [n], where the scores are.

    Args:
        scores: [n, classes].
        truth: int64 [n].
    """
    predicted = scores.argmax(dim=1)
    confidence = scores.float().softmax(dim=1).gather(1, predicted[:, None]).squeeze(1)
    # Of equal scores argmax takes the first, so those of earlier classes are ahead here too.
    place, at = torch.arange(scores.shape[1], device=scores.device), truth[:, None]
    mine = scores.gather(1, at)
    ahead = ((scores > mine) | ((scores == mine) & (place < at))).sum(dim=1)
    rank = torch.where(predicted == truth, 1, ahead.clamp(min=1) + 1)
    return predicted, confidence.nan_to_num(), rank


def _batch_size(batches: TensorLoader) -> int:
    _, height, width, _ = batches.images.shape
    pixels = EVALUATION_PIXELS.get(batches.device.type, EVALUATION_PIXELS["cpu"])
    return min(MOST_IMAGES, max(LEAST_IMAGES, pixels // (height * width)))


def _confusion(answers: Answers, class_count: int) -> Confusion:
    wrong = answers.predicted != answers.truth
    both = answers.truth[wrong] * class_count + answers.predicted[wrong]
    pairs, counts = torch.unique(both, return_counts=True)
    return tuple(
        (pair // class_count, pair % class_count, count)
        for pair, count in zip(pairs.tolist(), counts.tolist(), strict=True)
    )


def _bins(answers: Answers) -> Bins:
    edges = torch.linspace(0, 1, BIN_COUNT + 1, dtype=torch.float64)[1:-1]
    bins = torch.bucketize(answers.confidence, edges)
    right = bins[answers.predicted == answers.truth]
    return tuple(
        zip(
            torch.bincount(bins, minlength=BIN_COUNT).tolist(),
            torch.bincount(right, minlength=BIN_COUNT).tolist(),
            torch.bincount(bins, answers.confidence, minlength=BIN_COUNT).tolist(),
            strict=True,
        )
    )
