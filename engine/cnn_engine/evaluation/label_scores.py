"""Scores of how suspicious the given label of each image is, by published methods.

Scores of both methods are ½ if the given class and its strongest rival are equally likely, and
larger if the rival is likelier.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from cnn_engine.results.margins import MARGINS, NOT_RECORDED, Margins
from cnn_engine.results.predictions import Predictions

CHUNK_VALUES = 2**22
"""Margins decoded at a time, to bound the memory."""


WARM_UP = 4
"""The first of so many parts of the epochs is left out."""


class LabelScores(NamedTuple):
    """Suspicion of the label of each image, in the order of the images."""

    score: Tensor
    """float64 [N], 0 to 1; the most suspicious label has the largest."""

    likely: Tensor
    """int64 [N], the likelier class; the given one if no other is known."""


def area_under_margin(margins: Margins, labels: Tensor) -> LabelScores:
    """Return scores from the margins in training (G. Pleiss and others, 2020, arXiv:2001.10528).

    A network learns an image with a wrong label late, against what it learns from others: the mean
    of its margins over the epochs is small or negative. The first quarter of the epochs is left
    out: until the network has learned something, margins tell little. The score is the logistic
    function of the negated mean: the probability of the rival if there were only these two classes.
    The rival is the class that was the strongest of the others most often.

    Args:
        margins: The record of the images.
        labels: Their given labels, int64 [N].
    """
    shape = -1, margins.header.images, margins.header.row_bytes
    rows = torch.frombuffer(bytearray(margins.records), dtype=torch.uint8).view(shape)
    rows = rows[(rows[:, :, 0] != NOT_RECORDED).any(dim=1)]  # without epochs before the record
    rows = rows[len(rows) // WARM_UP :]
    if not len(rows):
        return LabelScores(torch.zeros(len(labels), dtype=torch.float64), labels)
    size = max(1, CHUNK_VALUES // len(rows))
    parts = zip(torch.split(rows, size, dim=1), torch.split(labels, size), strict=True)
    classes = margins.header.classes
    results = [_from_rows(part, given, classes) for part, given in parts]
    scores, rivals = zip(*results, strict=True)
    return LabelScores(torch.cat(scores), torch.cat(rivals))


def _from_rows(rows: Tensor, labels: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """Return score and rival, [n] each, of rows, uint8 [epochs, n, row_bytes]."""
    margins = torch.tensor(MARGINS, dtype=torch.float64)[rows[:, :, 0].int()]
    digits = rows[:, :, 1:].long()
    rivals = (digits << torch.arange(digits.shape[2]).mul(8)).sum(dim=2)
    is_valid = ~margins.isnan() & (rivals < classes)
    rivals = torch.where(is_valid, rivals, labels).mode(dim=0).values
    return (-margins.nanmean(dim=0)).sigmoid().nan_to_num(0.0), rivals


def confident_learning(predictions: Predictions, class_count: int) -> LabelScores:
    """Return scores from predictions for images that the model was not trained on.

    Confident learning (C. Northcutt and others, 2021, arXiv:1911.00068) compares the probability of
    a class with a threshold of its own: the mean over the images labelled as it, so that classes
    that the model is less sure of are not all suspicious. Images are ranked by the normalized
    margin: by how much more the rival exceeds its threshold than the given class does.

    Args:
        predictions: With the probability of the given class, `target_confidence`.
        class_count: Number of classes.
    """
    given, predicted = torch.tensor(predictions.target), torch.tensor(predictions.predicted)
    own = torch.tensor(predictions.target_confidence, dtype=torch.float64)
    top = torch.tensor(predictions.confidence, dtype=torch.float64)
    counts = torch.bincount(given, minlength=class_count).clamp(min=1)
    thresholds = torch.bincount(given, own, minlength=class_count) / counts
    is_wrong = predicted != given
    excess = (top - thresholds[predicted]) - (own - thresholds[given])
    # The excess is from -2 to 2. If the given class is predicted, the rival is unknown.
    score = torch.where(is_wrong, (2 + excess) / 4, (1 - own) / 4)
    return LabelScores(score.clamp(0, 1), predicted)
