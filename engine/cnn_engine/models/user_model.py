"""A network of the user's own, `module:Class`, imported from the current directory."""

import copy
import importlib
import sys
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from cnn_engine.config.schema import ModelConfig
from cnn_engine.errors import ConfigError
from cnn_engine.system.random_states import preserve_random_states


def build_user_model(
    config: ModelConfig, channels: int, image_size: int, class_count: int
) -> nn.Module:
    """`Class(channels=…, image_size=…, class_count=…, **model.options)`.

    The current directory is looked in first, and stays so, as for a script that lies there.

    Raises:
        ConfigError: there is no such module or class, or it fails; what it raised is the cause.
    """
    module_name, _, class_name = config.name.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        kind = getattr(importlib.import_module(module_name), class_name)
        model = kind(
            channels=channels, image_size=image_size, class_count=class_count, **config.options
        )
    except Exception as error:
        raise ConfigError(f"model.name: {config.name} from {here}: {_text(error)}") from error
    if not isinstance(model, nn.Module):
        raise ConfigError(
            f"model.name: {config.name} makes a {type(model).__name__}, and should make a "
            "torch.nn.Module"
        )
    if any(map(is_lazy, model.parameters())):
        raise ConfigError(f"model.name: {config.name} has layers without a shape; give it to them")
    return model


def check_model(model: nn.Module, images: Tensor, class_count: int, name: str) -> None:
    """See before training that a network takes images and gives scores; nothing in it changes.

    Args:
        model: On any device.
        images: Normalised [n, C, H, W], as few as any batch will have.
        class_count: How many scores each must have.
        name: What to call it.

    Raises:
        ConfigError: it does not; what it raised is the cause.
    """
    with preserve_random_states(images.device), torch.no_grad():
        try:
            scores = copy.deepcopy(model).train()(images)
        except Exception as error:
            raise ConfigError(
                f"model.name: {name} fails on {len(images)} images of "
                f"{'×'.join(map(str, images.shape[1:]))}: {_text(error)}"
            ) from error
    if not isinstance(scores, Tensor):
        raise ConfigError(f"model.name: {name} gives a {type(scores).__name__}, and no tensor")
    if scores.shape != (len(images), class_count):
        raise ConfigError(
            f"model.name: {name} gives scores of the shape {list(scores.shape)} for {len(images)} "
            f"images of {class_count} classes, and should give {[len(images), class_count]}"
        )


def _text(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
