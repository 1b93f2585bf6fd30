"""A network of torchvision's, which may begin with weights from a file that the user has."""

from difflib import get_close_matches
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn

from cnn_engine.config.schema import DataConfig, ModelConfig
from cnn_engine.errors import ConfigError, DataError

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""What torchvision's own weights were trained with, on pixels in [0, 1]."""

INNER_KEYS = ("state_dict", "model")
"""Where training programs put the weights in what they save."""


class TorchvisionModel(nn.Module):
    """A network of torchvision's with a last layer for our classes.

    With `freeze` that layer alone is trained; the others stay as they are, the statistics of batch
    norm and dropout too.
    """

    def __init__(self, network: nn.Module, *, freeze: bool) -> None:
        super().__init__()
        self.network = network
        self.head_name = _head_name(network)
        self._freeze = freeze
        if freeze:
            network.requires_grad_(requires_grad=False)
            network.get_submodule(self.head_name).requires_grad_()

    def forward(self, images: Tensor) -> Tensor:
        """Scores [N, classes] of normalised images [N, 3, H, W]."""
        scores: Tensor = self.network(images)
        return scores

    def train(self, mode: bool = True) -> Self:
        """Training mode, or not; what is frozen stays in evaluation mode."""
        super().train(mode)
        if self._freeze:
            self.network.eval()
            self.network.get_submodule(self.head_name).train(mode)
        return self


def _head_name(network: nn.Module) -> str:
    """Name of the last dense layer, or of the last convolution where there is none."""
    named: dict[str, nn.Module] = dict(network.named_modules())
    dense = [name for name, each in named.items() if isinstance(each, nn.Linear)]
    return (dense or [name for name, each in named.items() if isinstance(each, nn.Conv2d)])[-1]


def build_transfer(config: ModelConfig, channels: int, class_count: int) -> TorchvisionModel:
    """The network, with initial weights by chance.

    Raises:
        ConfigError: torchvision has no such network, or it does not take such images.
    """
    from torchvision import models  # noqa: PLC0415 - takes a second, and 200 MB

    if channels != 3:
        raise ConfigError("data.channels: torchvision's networks take colour; set it to 3")
    known = models.list_models(module=models)
    if config.arch not in known:
        close = get_close_matches(str(config.arch), known, n=1, cutoff=0.6)
        hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known)}"
        raise ConfigError(f"model.arch: torchvision has no {config.arch!r}; {hint}")
    network = models.get_model(config.arch, weights=None, num_classes=class_count)
    return TorchvisionModel(network, freeze=config.freeze)


def load_pretrained(model: TorchvisionModel, file: str) -> None:
    """Take over weights, all but those of the last layer. No file can run code.

    Raises:
        ConfigError: there is no such file, or it is of another network.
        DataError: it holds something else than weights.
    """
    theirs = _read(Path(file))
    head = f"{model.head_name}."
    mine = {
        name: values
        for name, values in model.network.state_dict().items()
        if not name.startswith(head)
    }
    theirs = {name: values for name, values in theirs.items() if not name.startswith(head)}
    for name in sorted(mine.keys() | theirs.keys()):
        if name.endswith("num_batches_tracked"):
            continue  # which older files lack
        should_be, found = _shape(mine, name), _shape(theirs, name)
        if should_be != found:
            raise ConfigError(
                f"{file}: holds weights of another network than model.arch names: {name} is "
                f"{found}, and should be {should_be}"
            )
    model.network.load_state_dict(theirs, strict=False)


def _shape(state: dict[str, Tensor], name: str) -> str:
    return "×".join(map(str, state[name].shape)) or "a number" if name in state else "not in it"


def _read(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise ConfigError(
            f"model.weights: {path} is no file; download one, such as those of "
            "https://pytorch.org/vision/stable/models.html, and name it"
        )
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # noqa: BLE001 - on what is no file of its own, torch raises what it likes
        raise DataError(
            f"{path}: is damaged, or holds more than weights; nothing in it was run"
        ) from None
    for key in INNER_KEYS:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not all(
        isinstance(each, Tensor) for each in content.values()
    ):
        raise DataError(f"{path}: holds something else than a network's weights by name")
    return content


def normalisation_notice(data: DataConfig) -> str:
    """What to say where images are not normalised as torchvision's own weights expect."""
    if (data.mean, data.std) == (MEAN, STD):
        return ""
    return (
        f"torchvision's own weights were trained with data.mean = {list(MEAN)} and data.std = "
        f"{list(STD)}, which this run does not use: with them it is likely to be better"
    )
