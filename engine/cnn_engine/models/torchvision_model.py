"""A torchvision network."""

from collections import OrderedDict
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, NamedTuple, Self

from torch import Tensor, nn

from cnn_engine.errors import ConfigError
from cnn_engine.models.head import find_head_name

MIN_MOMENTUM, MOMENTUM = 0.01, 0.1
"""Momentum of batch norm below which it is changed to PyTorch's default: with MNASNet's 0.0003, the
running statistics of a small data set would be those of the initialization for many epochs."""

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
            ConfigError: torchvision has no such network, the images are not RGB, or their size does
                not suit the network.
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

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> Any:  # noqa: ANN401 - of a private class
        """Load weights with the names of this version; see `torch.nn.Module.load_state_dict`."""
        weights = OrderedDict(state_dict)
        # MNASNet refuses weights without the version of the class that saved them.
        weights._metadata = self.state_dict()._metadata  # type: ignore[attr-defined]
        return super().load_state_dict(weights, strict, assign)


def _build_network(arch: str, channels: int, image_size: int, class_count: int) -> nn.Module:
    from torchvision import models  # noqa: PLC0415 - takes a second, and 200 MB

    if channels != 3:
        raise ConfigError("data.channels: torchvision's networks take RGB images; set it to 3")
    known = models.list_models(module=models)
    if arch not in known:
        close = get_close_matches(arch, known, n=1, cutoff=0.6)
        hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known)}"
        raise ConfigError(f"model.arch: torchvision has no {arch!r}; {hint}")
    sizes = image_sizes(arch)
    if image_size < sizes.min or image_size % sizes.divisor:
        accepted = (
            f"multiples of {sizes.divisor} pixels"
            if sizes.divisor > 1
            else f"{sizes.min} pixels or more"
        )
        raise ConfigError(
            f"model.arch: {arch} takes images of {accepted}, not of {image_size}; set "
            f"data.image_size, for example to {sizes.native}"
        )
    options: dict[str, object] = {}
    if _has_auxiliary_heads(arch):  # without them, the network returns a tensor
        options = {"aux_logits": False, "init_weights": False}
    elif arch.startswith("vit_"):
        options = {"image_size": image_size}
    elif arch.startswith("maxvit_"):
        options = {"input_size": (image_size, image_size)}
    network: nn.Module = models.get_model(arch, weights=None, num_classes=class_count, **options)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d) and (module.momentum or 1) < MIN_MOMENTUM:
            module.momentum = MOMENTUM
    return network


class ImageSizes(NamedTuple):
    """Image sizes that a network accepts, in pixels."""

    min: int
    divisor: int
    """The size must be a multiple of it."""

    native: int
    """Size that torchvision's weights are trained for."""


def image_sizes(arch: str) -> ImageSizes:
    """Return the image sizes of a torchvision network."""
    from torchvision import models  # noqa: PLC0415 - takes a second, and 200 MB

    weights: Any = next(iter(models.get_model_weights(arch)))
    native = weights.transforms().crop_size[0]
    family, _, variant = arch.partition("_")
    match family:
        case "vit":
            divisor = int(variant.rpartition("_")[2])  # side of a patch, as in `vit_b_16`
        case "maxvit":
            divisor = 7 * 2**5  # windows of 7 pixels after the image is halved five times
        case _:
            return ImageSizes(max(weights.meta["min_size"]), 1, native)
    return ImageSizes(divisor, divisor, native)


def _has_auxiliary_heads(arch: str) -> bool:
    return arch in ("googlenet", "inception_v3")
