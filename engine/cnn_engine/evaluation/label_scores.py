"""Margins between the given label of an image and the likeliest other class.

A margin is the logit of the given class minus the largest logit of the others; it is negative if
the other class, the rival, is likelier. All functions here give margins on that one scale, so that
images of different kinds can be ranked together.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from cnn_engine.results.margins import MARGINS, NOT_RECORDED, Margins
from cnn_engine.results.predictions import Predictions

CHUNK_VALUES = 2**22
"""Margins decoded at a time, to bound the memory."""

WARM_UP = 4
"""The first of so many parts of the epochs is left out."""

MIN_PROBABILITY = 1e-6
"""Smaller probabilities count as this one: files round them."""


class LabelMargins(NamedTuple):
    """Margins of the labels of some images."""

    images: Tensor
    """int64 [N], indices of the images."""

    margin: Tensor
    """float64 [N]; NaN if unknown."""

    rival: Tensor
    """int64 [N], the likeliest class but the given one; the given one if no other is known."""


def area_under_margin(margins: Margins, images: Tensor, labels: Tensor) -> LabelMargins:
    """Return the mean margins in training (G. Pleiss and others, 2020, arXiv:2001.10528).

    A network learns an image with a wrong label late, against what it learns from others: the mean
    of its margins over the epochs is small or negative. The first quarter of the epochs is left
    out: until the network has learned something, margins tell little. The rival is the class that
    was the strongest of the others most often.

    Args:
        margins: The record of the images.
        images: Their indices, int64 [N].
        labels: Their given labels, int64 [N].
    """
    shape = -1, margins.header.images, margins.header.row_bytes
    rows = torch.frombuffer(bytearray(margins.records), dtype=torch.uint8).view(shape)
    rows = rows[(rows[:, :, 0] != NOT_RECORDED).any(dim=1)]  # without epochs before the record
    rows = rows[len(rows) // WARM_UP :]
    if not len(rows):
        unknown = torch.full((len(labels),), math.nan, dtype=torch.float64)
        return LabelMargins(images, unknown, labels)
    size = max(1, CHUNK_VALUES // len(rows))
    parts = zip(torch.split(rows, size, dim=1), torch.split(labels, size), strict=True)
    classes = margins.header.classes
    results = [_from_rows(part, given, classes) for part, given in parts]
    means, rivals = zip(*results, strict=True)
    return LabelMargins(images, torch.cat(means), torch.cat(rivals))


def _from_rows(rows: Tensor, labels: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """Return mean margin and rival, [n] each, of rows, uint8 [epochs, n, row_bytes]."""
    margins = torch.tensor(MARGINS, dtype=torch.float64)[rows[:, :, 0].int()]
    digits = rows[:, :, 1:].long()
    rivals = (digits << torch.arange(digits.shape[2]).mul(8)).sum(dim=2)
    is_valid = ~margins.isnan() & (rivals < classes)
    rivals = torch.where(is_valid, rivals, labels).mode(dim=0).values
    return margins.nanmean(dim=0), rivals


def held_out_margins(predictions: Predictions, images: Tensor) -> LabelMargins:
    """Return the margins of images that the model was not trained on, from its probabilities.

    The difference of two logits is the logarithm of the ratio of the probabilities. If the given
    class is predicted, that of the rival is unknown: it is at most the rest.

    Args:
        predictions: With the probability of the given class, `target_confidence`.
        images: The indices of their images, int64 [N].
    """
    own = torch.tensor(predictions.target_confidence, dtype=torch.float64)
    top = torch.tensor(predictions.confidence, dtype=torch.float64)
    predicted, given = torch.tensor(predictions.predicted), torch.tensor(predictions.target)
    rival = torch.where(predicted != given, top, torch.minimum(own, 1 - own))
    own, rival = own.clamp(min=MIN_PROBABILITY), rival.clamp(min=MIN_PROBABILITY)
    return LabelMargins(images, own.log() - rival.log(), predicted)


def count_label_errors(predictions: Predictions, class_count: int) -> int:
    """Return an estimate of the number of wrong labels among held-out images.

    Confident learning (C. Northcutt and others, 2021, arXiv:1911.00068) counts an image if the
    probability of another class exceeds the threshold of that class: the mean over the images that
    are labelled as it. The threshold makes up for classes that the model is less sure of.

    Args:
        predictions: With the probability of the given class, `target_confidence`.
        class_count: Number of classes.
    """
    given, predicted = torch.tensor(predictions.target), torch.tensor(predictions.predicted)
    own = torch.tensor(predictions.target_confidence, dtype=torch.float64)
    top = torch.tensor(predictions.confidence, dtype=torch.float64)
    counts = torch.bincount(given, minlength=class_count).clamp(min=1)
    thresholds = torch.bincount(given, own, minlength=class_count) / counts
    return int(((predicted != given) & (top >= thresholds[predicted])).sum())


def mean_margins(parts: list[LabelMargins]) -> LabelMargins:
    """Return the mean margin of each image over the parts that have one.

    The rival of an image is that of the part with its smallest margin.
    """
    rows = torch.cat([part.images for part in parts])
    images, position = torch.unique(rows, return_inverse=True)
    margins = torch.cat([part.margin for part in parts])
    rivals = torch.cat([part.rival for part in parts])
    empty = torch.zeros(len(images), dtype=torch.float64)
    total = empty.index_add(0, position, margins.nan_to_num(0.0))
    count = empty.index_add(0, position, (~margins.isnan()).double())
    known = margins.nan_to_num(math.inf)
    least = empty.scatter_reduce(0, position, known, "amin", include_self=False)
    rival = torch.empty_like(images)
    is_least = known == least[position]
    rival[position[is_least]] = rivals[is_least]
    return LabelMargins(images, total / count, rival)
