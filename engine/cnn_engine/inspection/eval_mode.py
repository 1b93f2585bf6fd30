"""Run a model in evaluation mode without a lasting effect on it or on random numbers."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from cnn_engine.system.random_states import preserve_random_states


@contextmanager
def eval_mode(model: nn.Module) -> Iterator[None]:
    """Set evaluation mode, disable gradients; restore modes and random states afterwards.

    The mode of every submodule is restored, as a model may keep some of them in evaluation mode.
    """
    modes = [(module, module.training) for module in model.modules()]
    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    with preserve_random_states(device), torch.no_grad():
        try:
            model.eval()
            yield
        finally:
            for module, mode in modes:
                module.training = mode
