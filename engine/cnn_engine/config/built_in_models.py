"""Table of the built-in networks. To add one, write its class and add an entry here."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class BuiltInModel:
    """A network that `model.name` selects."""

    path: str
    """`module:Class`, imported when the network is built."""

    settings: tuple[str, ...]
    """Keys of `[model]` that are passed to the class, besides channels, image size and classes."""

    required: Mapping[str, str] = field(default_factory=dict)
    """Description of each setting that must be given, by key."""

    border: int = 0
    """Pixels by which the image's side shrinks before the first filters halve it."""


BUILT_IN_MODELS = {
    "cnn": BuiltInModel(
        path="cnn_engine.models.cnn:CNN", settings=("filters", "hidden", "dropout")
    ),
    "resnet": BuiltInModel(path="cnn_engine.models.resnet:ResNet", settings=("filters", "blocks")),
    "whitened": BuiltInModel(
        path="cnn_engine.models.whitened:WhitenedCNN", settings=("filters", "depth"), border=1
    ),
    "torchvision": BuiltInModel(
        path="cnn_engine.models.torchvision_model:TorchvisionModel",
        settings=("arch", "freeze"),
        required={"arch": "a network of torchvision, such as resnet18"},
    ),
}
"""Networks by name."""
