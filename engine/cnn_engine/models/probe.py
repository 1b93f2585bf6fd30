"""Runs a network once before training, and checks what it returns."""

import copy

import torch
from torch import Tensor, nn

from cnn_engine.errors import ConfigError, error_text
from cnn_engine.system.random_states import preserve_random_states

MAX_ROUNDING = 1e-4
"""Maximum difference from 1 of a sum of probabilities, by rounding."""


def check_model(model: nn.Module, images: Tensor, class_count: int, name: str) -> str:
    """Run a copy of the model once in training mode; return a warning about its logits, or "".

    The model and the random states are unchanged.

    Args:
        model: On any device.
        images: float [n, C, H, W], normalized, on the same device; n of the smallest batch.
        class_count: Expected number of logits per image.
        name: Value of `model.name`, for messages.

    Raises:
        ConfigError: it fails, or does not return logits [n, classes]; `__cause__` is its exception.
    """
    fix = "; use a larger train.batch_size" if len(images) == 1 else ""
    logits = run_once(copy.deepcopy(model).train(), images, name, fix)
    if not isinstance(logits, Tensor):
        raise ConfigError(f"model.name: {name} returns a {type(logits).__name__}, not a tensor")
    if logits.shape != (len(images), class_count):
        raise ConfigError(
            f"model.name: {name} returns logits of shape {list(logits.shape)} for {len(images)} "
            f"images and {class_count} classes, and should return {[len(images), class_count]}"
        )
    return _logits_warning(logits.float(), name)


def run_once(model: nn.Module, images: Tensor, name: str, fix: str = "") -> object:
    """Run a model, and return what it returns; the random states are unchanged.

    Args:
        model: On any device.
        images: float [n, C, H, W], normalized, on the same device.
        name: Value of `model.name`, for the message.
        fix: What to do if it fails, appended to the message.

    Raises:
        ConfigError: it fails; `__cause__` is its exception.
    """
    with preserve_random_states(images.device), torch.no_grad():
        try:
            return model(images)
        except (Exception, SystemExit) as error:
            count = "a batch of one image" if len(images) == 1 else f"{len(images)} images"
            raise ConfigError(
                f"model.name: {name} fails on {count} of "
                f"{'×'.join(map(str, images.shape[1:]))}: {error_text(error)}{fix}"
            ) from error


def _logits_warning(logits: Tensor, name: str) -> str:
    """Return a warning if the logits seem to be activated already, [n, classes] fp32; else ""."""
    applied = "cnn-tui applies softmax and cross-entropy to the network's output itself"
    if _are_ones(logits.exp().sum(dim=1)):
        return f"{name} ends in a log-softmax, which has no effect and can be removed: {applied}"
    if logits.min() >= 0 and _are_ones(logits.sum(dim=1)):
        return (
            f"{name} ends in a softmax: its outputs are probabilities, each row sums to 1, and it "
            f"will hardly learn from them. Remove the softmax: {applied}"
        )
    if logits.min() > 0 and logits.max() < 1:
        return (
            f"{name} returns values between 0 and 1 only: if it ends in a sigmoid, remove it, as "
            f"{applied}"
        )
    if logits.min() == 0 < logits.max():
        return (
            f"{name} returns no negative value: if it ends in a ReLU, remove it, as a class whose "
            "output is 0 for all images is not learned"
        )
    return ""


def _are_ones(values: Tensor) -> bool:
    return bool(((values - 1).abs() < MAX_ROUNDING).all())
