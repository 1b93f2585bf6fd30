"""Images from wherever they are, as one uint8 tensor, checked before training starts."""

from cnn_engine.data.dataset import DataSet, load
from cnn_engine.data.raw import Progress

__all__ = ["DataSet", "Progress", "load"]
