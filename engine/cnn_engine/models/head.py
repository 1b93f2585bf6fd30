"""Finds the last layer of a network, whose outputs are the logits."""

from torch import nn


def find_head_name(network: nn.Module) -> str:
    """Return the name of the last linear layer, or of the last convolution; empty without both."""
    modules: dict[str, nn.Module] = dict(network.named_modules())
    linear = [name for name, module in modules.items() if isinstance(module, nn.Linear)]
    convolutions = [name for name, module in modules.items() if isinstance(module, nn.Conv2d)]
    return (linear or convolutions or [""])[-1]
