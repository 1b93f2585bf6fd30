"""Running a model to look at it, so that what is trained is as if nobody had."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from cnn_engine.system.random_states import preserve_random_states


@contextmanager
def eval_mode(model: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients, from which the model comes back as it was."""
    modes: Sequence[tuple[nn.Module, bool]] = [(each, each.training) for each in model.modules()]
    device = next((each.device for each in model.parameters()), torch.device("cpu"))
    with preserve_random_states(device), torch.no_grad():
        try:
            model.eval()
            yield
        finally:
            for module, mode in modes:
                module.training = mode


@contextmanager
def removed(handle: Any) -> Iterator[None]:  # noqa: ANN401 - PyTorch's RemovableHandle
    """The hook of this handle is there meanwhile."""
    try:
        yield
    finally:
        handle.remove()
