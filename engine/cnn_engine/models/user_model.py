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
    except Exception as error:
        raise ConfigError(f"model.name: {config.name} from {directory}: {_text(error)}") from error
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


def check_model(model: nn.Module, images: Tensor, class_count: int, name: str) -> None:
    """Run a copy of the model once in training mode and check the logits.

    The model and the random states are unchanged.

    Args:
        model: On any device.
        images: float [n, C, H, W], normalized, on the same device; n of the smallest batch.
        class_count: Expected number of logits per image.
        name: Value of `model.name`, for messages.

    Raises:
        ConfigError: it fails, or does not return logits [n, classes]; `__cause__` is its exception.
    """
    with preserve_random_states(images.device), torch.no_grad():
        try:
            logits = copy.deepcopy(model).train()(images)
        except Exception as error:
            count = "a batch of one image" if len(images) == 1 else f"{len(images)} images"
            fix = "; use a larger train.batch_size" if len(images) == 1 else ""
            raise ConfigError(
                f"model.name: {name} fails on {count} of "
                f"{'×'.join(map(str, images.shape[1:]))}: {_text(error)}{fix}"
            ) from error
    if not isinstance(logits, Tensor):
        raise ConfigError(f"model.name: {name} returns a {type(logits).__name__}, not a tensor")
    if logits.shape != (len(images), class_count):
        raise ConfigError(
            f"model.name: {name} returns logits of shape {list(logits.shape)} for {len(images)} "
            f"images and {class_count} classes, and should return {[len(images), class_count]}"
        )


def _text(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
