"""Builds the network that a config names."""

from importlib import import_module

from torch import nn

from cnn_engine.config.built_in_models import BUILT_IN_MODELS
from cnn_engine.config.schema import ModelConfig
from cnn_engine.errors import ConfigError
from cnn_engine.models.user_model import build_user_model


def build_model(config: ModelConfig, channels: int, image_size: int, class_count: int) -> nn.Module:
    """Return the network that the config names, with random weights, on the CPU.

    Its input is normalized images, float [N, channels, image_size, image_size], its output logits,
    float [N, class_count].

    Raises:
        ConfigError: the network cannot be built, or the images are too small for it.
    """
    if config.is_user_model:
        return build_user_model(config, channels, image_size, class_count)
    min_size = config.min_image_size
    if min_size is not None and image_size < min_size:
        raise ConfigError(
            f"model.filters: {len(config.filters)} are too many for images of {image_size} "
            "pixels, as each halves them; give fewer, or a larger data.image_size"
        )
    entry = BUILT_IN_MODELS[config.name]
    module, _, name = entry.path.partition(":")
    model: nn.Module = getattr(import_module(module), name)(
        channels=channels,
        image_size=image_size,
        class_count=class_count,
        **{key: getattr(config, key) for key in entry.settings},
    )
    return model


def count_parameters(model: nn.Module) -> int:
    """Return the number of trainable parameters."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
