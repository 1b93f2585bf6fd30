"""Optional methods of a model that training calls.

They are found by name: a model does not have to import this module.
"""

from typing import Protocol, runtime_checkable

from torch import Tensor

MAX_INIT_IMAGES = 1_000
"""Maximum number of training images passed to `init_from_images`."""


@runtime_checkable
class InitFromImages(Protocol):
    """A model whose initial weights depend on training images."""

    def init_from_images(self, images: Tensor) -> None:
        """Initialize weights; called once, on the device, before the optimizer is built.

        Also called before a checkpoint is loaded, which then replaces the weights.

        Args:
            images: float32 [N, C, H, W], normalized, N <= MAX_INIT_IMAGES.
        """


@runtime_checkable
class BeginEpoch(Protocol):
    """A model that trains differently in some epochs."""

    def begin_epoch(self, epoch: int) -> None:
        """Prepare for an epoch, counted from 1; called again if a run resumes within one.

        The model may set attributes (numbers, strings, booleans, None) that its `forward` reads.
        With a CUDA graph, the step is captured again whenever they have changed.
        """
