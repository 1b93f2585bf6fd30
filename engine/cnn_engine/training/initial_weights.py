"""Starts a model from the weights of a file, `model.weights`."""

from itertools import chain

from torch import Tensor, nn

from cnn_engine.checkpoints.compat import weights_difference
from cnn_engine.checkpoints.weights_file import WeightsFile
from cnn_engine.errors import ConfigError, DataError
from cnn_engine.models.finite import infinite_buffers, non_finite_name
from cnn_engine.models.head import find_head_name
from cnn_engine.models.renamed import rename_weights
from cnn_engine.models.torchvision_model import AUXILIARY_HEADS, TorchvisionModel
from cnn_engine.texts import listed

PREFIXES = ("network.", "module.", "_orig_mod.")
"""Prefixes that wrappers add to all names: `TorchvisionModel`, and those of PyTorch."""

MAX_NAMES = 3
"""Maximum number of weights in a text."""


def load_initial_weights(model: nn.Module, file: WeightsFile, classes: tuple[str, ...]) -> str:
    """Load the weights that fit; return a sentence that says which.

    The last layer is loaded only if the file is of a run with the same classes. A network of
    torchvision needs all others, because layers that were left random would go unnoticed.

    Args:
        model: On any device.
        file: The weights.
        classes: Names of the model's classes.

    Raises:
        ConfigError: no weight fits, or a network of torchvision does not get all of them.
        DataError: a weight is NaN or infinite.
    """
    expected = dict(model.state_dict())
    found = _renamed(rename_weights(model, file.weights), expected)
    if file.classes != classes:
        head = f"{find_head_name(model)}."
        found = {name: values for name, values in found.items() if not name.startswith(head)}
    fitting = {name: values for name, values in found.items() if _fits(name, values, expected)}
    if name := non_finite_name(fitting, infinite_buffers(model)):
        raise DataError(
            f"{file.path}: {name} has values that are NaN or infinite; use another file"
        )
    if isinstance(model, TorchvisionModel):
        _require_all(model, expected, found, file)
    if not any(map(_counts, fitting)):
        raise ConfigError(f"model.weights: no weight of {file.path} fits this network")
    model.load_state_dict(fitting, strict=False)
    missing = [name for name in expected if name not in fitting and _counts(name)]
    count = sum(map(_counts, expected))
    text = f"Starts from {file.path}: {count - len(missing)} of {count} tensors"
    return f"{text}, all but {listed(missing, MAX_NAMES)}" if missing else text


def _renamed(found: dict[str, Tensor], expected: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights under the names that fit most: as they are, or with a prefix changed."""
    adding = [{f"{prefix}{name}": found[name] for name in found} for prefix in PREFIXES]
    removing = [{name.removeprefix(prefix): found[name] for name in found} for prefix in PREFIXES]
    return max(
        chain([found], adding, removing),
        key=lambda named: sum(_fits(name, values, expected) for name, values in named.items()),
    )


def _fits(name: str, values: Tensor, expected: dict[str, Tensor]) -> bool:
    return name in expected and values.shape == expected[name].shape


def _require_all(
    model: TorchvisionModel,
    expected: dict[str, Tensor],
    found: dict[str, Tensor],
    file: WeightsFile,
) -> None:
    """Raise if a weight is missing or left over, except in the last layer and auxiliary heads."""
    ignored = (f"{find_head_name(model)}.", *(f"network.{name}." for name in AUXILIARY_HEADS))
    required, given = (
        {
            name.removeprefix("network."): values
            for name, values in weights.items()
            if not name.startswith(ignored) and _counts(name)
        }
        for weights in (expected, found)
    )
    if difference := weights_difference(required, given):
        raise ConfigError(
            f"{file.path}: contains weights of another network than model.arch: {difference}"
        )


def _counts(name: str) -> bool:
    """Return False for the counters of batch norm, which older files lack."""
    return not name.endswith("num_batches_tracked")


def normalization_warning(
    expected: tuple[tuple[float, ...], tuple[float, ...]] | None,
    used: tuple[tuple[float, ...], tuple[float, ...]],
    channels: int,
) -> str:
    """Return a warning if a run normalizes images differently than its weights expect; else "".

    Args:
        expected: `data.mean` and `data.std` of the weights, one value or one per channel; None if
            they are unknown.
        used: Those of the run.
        channels: Channels of the images.
    """
    if expected is None or all(
        _per_channel(one, channels) == _per_channel(other, channels)
        for one, other in zip(expected, used, strict=True)
    ):
        return ""
    mean, std = map(list, expected)
    return (
        f"The weights expect data.mean = {mean} and data.std = {std}; this run normalizes "
        "differently, which may cost accuracy"
    )


def _per_channel(values: tuple[float, ...], channels: int) -> tuple[float, ...]:
    return values * channels if len(values) == 1 else values
