"""Running statistics of batch norm."""

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.instancenorm import _InstanceNorm


def running_statistics(model: nn.Module) -> list[Tensor]:
    """Return running means and variances of all normalizations that keep them, not copied."""
    return [
        statistics
        for module in model.modules()
        if isinstance(module, _BatchNorm | _InstanceNorm)
        for statistics in (module.running_mean, module.running_var)
        if statistics is not None
    ]
