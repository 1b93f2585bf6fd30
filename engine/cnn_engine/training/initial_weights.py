"""Starts a model from the weights of a file, `model.weights`."""

from torch import Tensor, nn

from cnn_engine.checkpoints.compat import weights_difference
from cnn_engine.checkpoints.weight_names import fits, match_names
from cnn_engine.checkpoints.weights_file import WeightsFile
from cnn_engine.errors import ConfigError, DataError
from cnn_engine.models.finite import infinite_buffers, non_finite_name
from cnn_engine.models.head import find_head_name
from cnn_engine.models.renamed import rename_weights
from cnn_engine.models.torchvision_model import TorchvisionModel
from cnn_engine.models.torchvision_weights import (
    AUXILIARY_HEADS,
    POSITIONS,
    current_name,
    resize_positions,
)
from cnn_engine.texts import listed

MAX_NAMES = 3
"""Maximum number of weights in a text."""


def load_initial_weights(model: nn.Module, file: WeightsFile, classes: tuple[str, ...]) -> str:
    """Load the weights that fit; return a sentence that says which, and which do not.

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
    named = match_names(_adapted(model, file.weights, expected), expected)
    found = named.weights
    if file.classes != classes:
        head = f"{find_head_name(model)}."
        found = {name: values for name, values in found.items() if not name.startswith(head)}
    fitting = {name: values for name, values in found.items() if fits(name, values, expected)}
    if name := non_finite_name(fitting, infinite_buffers(model)):
        raise DataError(
            f"{file.path}: {name} has values that are NaN or infinite; use another file"
        )
    if not any(map(_counts, fitting)):
        raise ConfigError(
            f"model.weights: no weight of {file.path} fits this network; it contains "
            f"{listed([*file.weights], MAX_NAMES)}, expected {listed([*expected], MAX_NAMES)}"
        )
    if isinstance(model, TorchvisionModel):
        _require_all(model, expected, found, file)
    model.load_state_dict(fitting, strict=False)
    missing = [name for name in expected if name not in fitting and _counts(name)]
    unused = [named.name_in_file(name) for name in found if name not in {*fitting, *missing}]
    text = f"Starts from {file.path}: {_share(fitting, expected)} tensors"
    if missing:
        text += f", all but {listed(missing, MAX_NAMES)}"
    if unused := [*unused, *named.others]:
        text += f"; not used from the file: {listed(unused, MAX_NAMES)}"
    return text


def _share(fitting: dict[str, Tensor], expected: dict[str, Tensor]) -> str:
    return f"{sum(map(_counts, fitting))} of {sum(map(_counts, expected))}"


def _adapted(
    model: nn.Module, weights: dict[str, Tensor], expected: dict[str, Tensor]
) -> dict[str, Tensor]:
    """Return weights with the current names of layers and, for torchvision, for the image size."""
    if not isinstance(model, TorchvisionModel):
        renamed: dict[str, Tensor] = rename_weights(model, weights)
        return renamed
    adapted = {current_name(name): values for name, values in weights.items()}
    for name, values in adapted.items():
        if (
            name.endswith(POSITIONS)
            and (wanted := expected.get(f"network.{POSITIONS}")) is not None
        ):
            adapted[name] = resize_positions(values, wanted.shape[1])
    return adapted


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
