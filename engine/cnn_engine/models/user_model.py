"""A network of the user's own, `module:Class`, imported from the current directory."""

import importlib
import sys
from pathlib import Path

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from cnn_engine.config.schema import ModelConfig
from cnn_engine.errors import ConfigError, error_text


def build_user_model(
    config: ModelConfig, channels: int, image_size: int, class_count: int
) -> nn.Module:
    """Return `Class(channels=…, image_size=…, class_count=…, **model.options)`.

    The current directory becomes the first on `sys.path`, as for a script in it.

    Raises:
        ConfigError: there is no such module or class, or it fails; `__cause__` is its exception.
    """
    module_name, _, class_name = config.name.partition(":")
    directory = str(Path.cwd())
    if directory not in sys.path:
        sys.path.insert(0, directory)
    try:
        model_class = getattr(importlib.import_module(module_name), class_name)
        model = model_class(
            channels=channels, image_size=image_size, class_count=class_count, **config.options
        )
    except (Exception, SystemExit) as error:
        raise ConfigError(
            f"model.name: {config.name} from {directory}: {error_text(error)}"
        ) from error
    if not isinstance(model, nn.Module):
        raise ConfigError(
            f"model.name: {config.name} returns a {type(model).__name__}, not a torch.nn.Module"
        )
    if any(map(is_lazy, model.parameters())):
        raise ConfigError(f"model.name: {config.name} has lazy layers; give them their input size")
    _separate_elements(model)
    return model


def _separate_elements(model: nn.Module) -> None:
    """Give each element of the weights and buffers memory of its own, so that they can be loaded.

    Elements of an expanded tensor share memory, and so do two tensors of which one is a view of the
    other. One tensor under two names stays one.
    """
    for values in (*model.parameters(), *model.buffers()):
        values.data = values.data.clone(memory_format=torch.contiguous_format)
