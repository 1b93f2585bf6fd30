"""Sample images whose feature maps are stored, and how they are selected."""

from dataclasses import dataclass

import torch
from torch import Tensor

from cnn_engine.config.schema import DataConfig
from cnn_engine.data.dataset import DataSet
from cnn_engine.evaluation.evaluate import ImagePredictions
from cnn_engine.results.feature_maps import Split

MAX_SAMPLES = 20
"""Maximum number of sample images stored with their feature maps."""


@dataclass(frozen=True, kw_only=True)
class SampleImages:
    """Images of a data set before normalization."""

    split: Split
    """Split that the images are from."""

    names: list[str]
    labels: Tensor
    """int64 [n], the true classes."""

    pixels: Tensor
    """uint8 [n, H, W, C]."""

    mean: tuple[float, ...]
    std: tuple[float, ...]
    """Normalization, per channel or for all: the model gets (pixel / 255 - mean) / std."""

    @classmethod
    def from_dataset(
        cls, data: DataSet, config: DataConfig, split: Split, indices: Tensor
    ) -> "SampleImages":
        """Return the images at `indices`, int64 [n]."""
        return cls(
            split=split,
            names=list(map(data.name_of, indices.tolist())),
            labels=data.labels[indices.to(data.labels.device)],
            pixels=data.images[indices.to(data.images.device)],
            mean=config.mean,
            std=config.std,
        )


def samples_per_class(data: DataSet, indices: Tensor, count: int = MAX_SAMPLES) -> Tensor:
    """Return the first image of every class among `indices`, then the second of every class, etc.

    Args:
        data: The images.
        indices: int64 [N], the candidates.
        count: Maximum number of images.

    Returns:
        int64 [n], n <= count.
    """
    class_count = min(len(data.classes), count)
    labels, per_class = data.labels[indices], max(1, count // class_count)
    by_class = [indices[labels == label][:per_class] for label in range(class_count)]
    rounds = [members[number : number + 1] for number in range(per_class) for members in by_class]
    return torch.cat(rounds)[:count]


def correct_and_mistaken(data: DataSet, predictions: ImagePredictions) -> Tensor:
    """Return the indices of correctly classified test images of each class and of mistakes.

    Returns:
        int64 [n]: the most confident mistakes last, most confident first.
    """
    is_correct = predictions.predicted == predictions.targets
    by_confidence = predictions.confidence[~is_correct].argsort(descending=True, stable=True)
    mistakes = data.test[~is_correct][by_confidence][: MAX_SAMPLES // 2]
    correct = samples_per_class(data, data.test[is_correct], MAX_SAMPLES - len(mistakes))
    return torch.cat([correct, mistakes])
