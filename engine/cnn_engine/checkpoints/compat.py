"""Checks that a checkpoint is compatible with the model and the images."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from cnn_engine.data.dataset import DataSet
from cnn_engine.errors import ConfigError, DataError
from cnn_engine.runlog.events import RunPrepared
from cnn_engine.system.program import shell_command


def check_images(recorded: RunPrepared | None, data: DataSet) -> None:
    """Compare the images with those recorded in the run's log; do nothing if `recorded` is None.

    Raises:
        DataError: classes or numbers of images differ.
    """
    if recorded is None:
        return
    counts = {
        "classes": (len(data.classes), len(recorded.classes)),
        "train images": (len(data.train), recorded.train_images),
        "validation images": (len(data.val), recorded.val_images),
        "test images": (len(data.test), recorded.test_images),
    }
    changes = [
        f"{now:,} {noun}, before {before:,}"
        for noun, (now, before) in counts.items()
        if now != before
    ]
    if not changes and data.classes != recorded.classes:
        changes = ["classes have other names"]
    if changes:
        raise DataError(
            f"{data.source}: has changed since the run was trained on it: {'; '.join(changes)}; "
            f"restore the images, or start a new run with: {shell_command('run')}"
        )


def check_fingerprint(found: str, state: Mapping[str, Any], data: DataSet, file: str) -> None:
    """Compare the fingerprint of the images with that of a checkpoint.

    Args:
        found: Fingerprint of the images now.
        state: The checkpoint.
        data: The images now.
        file: Name of the checkpoint, for the message.

    Raises:
        DataError: they differ.
    """
    if found == state["fingerprint"]:
        return
    cause = ""
    if data.decoding and not state["environment"].keys() & data.decoding.keys():
        cause = ", or another version of Pillow decodes them differently"
    raise DataError(
        f"{data.source}: the images, labels or split are not those that {file} was trained on"
        f"{cause}; restore them, or start a new run with: {shell_command('run')}"
    )


def check_weights(expected: dict[str, Tensor], found: dict[str, Tensor], file: str) -> None:
    """Compare names and shapes of a checkpoint's weights with those of the config's model.

    Args:
        expected: The model's `state_dict`.
        found: The checkpoint's.
        file: Name of the checkpoint, for the message.

    Raises:
        ConfigError: they differ.
    """
    if difference := weights_difference(expected, found):
        raise ConfigError(f"{file}: does not fit the model of the run's config: {difference}")


def weights_difference(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> str:
    """Return the first weight with another shape, as `fc.bias is 10, expected 2`; "" without one.

    Args:
        expected: Weights of a model by name.
        found: Weights of a file by name.
    """
    expected_shapes, found_shapes = _shapes(expected), _shapes(found)
    for name in sorted(expected_shapes.keys() | found_shapes.keys()):
        shape = found_shapes.get(name, "missing")
        expected_shape = expected_shapes.get(name, "no such weight")
        if shape != expected_shape:
            return f"{name} is {shape}, expected {expected_shape}"
    return ""


def _shapes(state: Mapping[str, Tensor]) -> dict[str, str]:
    return {name: "×".join(map(str, values.shape)) or "a scalar" for name, values in state.items()}
