"""A torchvision network, which can start from pretrained weights in a file."""

from difflib import get_close_matches
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn

from cnn_engine.errors import ConfigError, DataError

STATE_DICT_KEYS = ("state_dict", "model")
"""Keys under which training programs save the state dict."""


class TorchvisionModel(nn.Module):
    """A torchvision network with a new last layer.

    With `freeze` only that layer is trained: other weights are fixed, and batch norm and dropout
    stay in evaluation mode.
    """

    pretrained_mean, pretrained_std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    """Normalization that torchvision's own weights were trained with, on pixels in [0, 1]."""

    def __init__(
        self,
        *,
        channels: int,
        image_size: int,  # noqa: ARG002 - `check_model` checks it
        class_count: int,
        arch: str,
        freeze: bool,
    ) -> None:
        """Build the network with random weights.

        Raises:
            ConfigError: torchvision has no such network, or the images are not RGB.
        """
        super().__init__()
        self.network = network = _build_network(arch, channels, class_count)
        self.head_name = _head_name(network)
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

    def load_pretrained(self, path: str) -> None:
        """Load the weights of all layers except the last. Code in the file is not run.

        Raises:
            ConfigError: there is no such file, or it contains weights of another network.
            DataError: it is damaged, or is not a state dict.
        """
        expected = self._without_head(self.network.state_dict())
        found = self._without_head(_read_state_dict(Path(path)))
        for name in sorted(expected.keys() | found.keys()):
            if name.endswith("num_batches_tracked"):
                continue  # older files lack it
            if _shape(expected, name) != _shape(found, name):
                raise ConfigError(
                    f"{path}: contains weights of another network than model.arch: {name} is "
                    f"{_shape(found, name)}, expected {_shape(expected, name)}"
                )
        self.network.load_state_dict(found, strict=False)

    def _without_head(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        prefix = f"{self.head_name}."
        return {name: tensor for name, tensor in state.items() if not name.startswith(prefix)}


def _build_network(arch: str, channels: int, class_count: int) -> nn.Module:
    from torchvision import models  # noqa: PLC0415 - takes a second, and 200 MB

    if channels != 3:
        raise ConfigError("data.channels: torchvision's networks take RGB images; set it to 3")
    known = models.list_models(module=models)
    if arch not in known:
        close = get_close_matches(arch, known, n=1, cutoff=0.6)
        hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known)}"
        raise ConfigError(f"model.arch: torchvision has no {arch!r}; {hint}")
    network: nn.Module = models.get_model(arch, weights=None, num_classes=class_count)
    return network


def _head_name(network: nn.Module) -> str:
    """Return the name of the last linear layer, or of the last convolution if there is none."""
    modules: dict[str, nn.Module] = dict(network.named_modules())
    dense = [name for name, module in modules.items() if isinstance(module, nn.Linear)]
    convolutions = [name for name, module in modules.items() if isinstance(module, nn.Conv2d)]
    return (dense or convolutions)[-1]


def _shape(state: dict[str, Tensor], name: str) -> str:
    return "×".join(map(str, state[name].shape)) or "a number" if name in state else "not in it"


def _read_state_dict(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise ConfigError(
            f"model.weights: {path} is not a file; download one, such as those of "
            "https://pytorch.org/vision/stable/models.html, and name it"
        )
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # noqa: BLE001 - torch may raise anything for other files
        raise DataError(
            f"{path}: is damaged, or contains more than weights; no code in it was run"
        ) from None
    for key in STATE_DICT_KEYS:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not all(
        isinstance(value, Tensor) for value in content.values()
    ):
        raise DataError(f"{path}: is not a state dict (weights by name)")
    return content
