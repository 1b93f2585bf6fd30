"""Weights of the classes in the loss."""

from torch import Tensor

from cnn_engine.data.dataset import DataSet


def balanced_class_weights(data: DataSet) -> Tensor:
    """Return loss weights that give each class the same total weight, fp32 [classes]."""
    counts = data.labels[data.train].bincount(minlength=len(data.classes))
    return len(data.train) / (len(counts) * counts)
