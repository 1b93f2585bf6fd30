"""A torchvision network."""

from difflib import get_close_matches
from typing import Any, Self

from torch import Tensor, nn

from cnn_engine.errors import ConfigError
from cnn_engine.models.head import find_head_name

AUXILIARY_HEADS = ("AuxLogits", "aux1", "aux2")
"""Second and third classifiers of Inception v3 and GoogLeNet, which are not trained here."""

HALF = (0.5, 0.5, 0.5)
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


class TorchvisionModel(nn.Module):
    """A torchvision network with a new last layer.

    With `freeze` only that layer is trained: other weights are fixed, and batch norm and dropout
    stay in evaluation mode.
    """

    def __init__(
        self,
        *,
        channels: int,
        image_size: int,
        class_count: int,
        arch: str,
        freeze: bool,
    ) -> None:
        """Build the network with random weights.

        Raises:
            ConfigError: torchvision has no such network, or the images are not RGB or too small.
        """
        super().__init__()
        self.network = network = _build_network(arch, channels, image_size, class_count)
        self.head_name = find_head_name(network)
        self.pretrained_normalization = (HALF, HALF) if _has_auxiliary_heads(arch) else IMAGENET
        """Mean and standard deviation, for pixels in [0, 1], of torchvision's own weights."""
        self._freeze = freeze
        if freeze:
            network.requires_grad_(requires_grad=False)
            network.get_submodule(self.head_name).requires_grad_()

    def forward(self, images: Tensor) -> Tensor:
        """Return logits [N, classes] of normalized images [N, 3, H, W]."""
        logits: Tensor = self.network(images)
        return logits

    def train(self, mode: bool = True) -> Self:
        """Set training or evaluation mode; frozen layers stay in evaluation mode."""
        super().train(mode)
        if self._freeze:
            self.network.eval()
            self.network.get_submodule(self.head_name).train(mode)
        return self


def _build_network(arch: str, channels: int, image_size: int, class_count: int) -> nn.Module:
    from torchvision import models  # noqa: PLC0415 - takes a second, and 200 MB

    if channels != 3:
        raise ConfigError("data.channels: torchvision's networks take RGB images; set it to 3")
    known = models.list_models(module=models)
    if arch not in known:
        close = get_close_matches(arch, known, n=1, cutoff=0.6)
        hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known)}"
        raise ConfigError(f"model.arch: torchvision has no {arch!r}; {hint}")
    weights: Any = next(iter(models.get_model_weights(arch)))
    min_size = max(weights.meta["min_size"])
    if image_size < min_size:
        raise ConfigError(
            f"model.arch: {arch} takes images of {min_size} pixels or more, not of {image_size}; "
            f"set data.image_size, for example to {weights.transforms().crop_size[0]}"
        )
    # Without the auxiliary heads, the network returns a tensor.
    options = {"aux_logits": False, "init_weights": False} if _has_auxiliary_heads(arch) else {}
    network: nn.Module = models.get_model(arch, weights=None, num_classes=class_count, **options)
    return network


def _has_auxiliary_heads(arch: str) -> bool:
    return arch in ("googlenet", "inception_v3")
