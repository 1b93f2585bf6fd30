"""Writes the files of the Model view: layers, and feature maps of sample images.

The model runs in evaluation mode without gradients. Its modes and the random states are restored,
so that training continues as if it had not run.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from torch import Tensor, nn

from cnn_engine.checkpoints.writer import Writer
from cnn_engine.errors import StorageError
from cnn_engine.inspection.feature_maps import CapturedFeatureMaps
from cnn_engine.inspection.layers import inspect_layers
from cnn_engine.results.model_layers import encode_layers
from cnn_engine.storage.atomic import write_atomically

T = TypeVar("T")


def write_layers(  # noqa: PLR0913, PLR0917 - model, output and warnings
    model: nn.Module,
    images: Tensor,
    path: Path,
    writer: Writer,
    check: Callable[[], None],
    warn: Callable[[str], None],
) -> None:
    """Write the model's layers, `model.json`; call `warn` if the model or the disk fails.

    Args:
        model: Any module that takes images.
        images: float [n, C, H, W], normalized, on the model's device; one is enough.
        path: The file.
        writer: Writes it now or in the background.
        check: Called before it is written; raises StorageError if it may not be.
        warn: Called with the problem, on this thread.
    """
    _inspect_and_write(
        lambda: inspect_layers(model, images), encode_layers, path, writer, check, warn
    )


def write_feature_maps(
    capture: Callable[[], CapturedFeatureMaps],
    path: Path,
    writer: Writer,
    check: Callable[[], None],
    warn: Callable[[str], None],
) -> None:
    """Write feature maps, `maps.bin`; call `warn` if the model or the disk fails.

    Args:
        capture: Runs the model, at once.
        path: The file.
        writer: Writes it now or in the background.
        check: Called before it is written; raises StorageError if it may not be.
        warn: Called with the problem, on this thread.
    """
    _inspect_and_write(capture, CapturedFeatureMaps.to_bytes, path, writer, check, warn)


def _inspect_and_write(  # noqa: PLR0913, PLR0917 - the same
    inspect: Callable[[], T],
    to_bytes: Callable[[T], bytes],
    path: Path,
    writer: Writer,
    check: Callable[[], None],
    warn: Callable[[str], None],
) -> None:
    """Inspect the model now: when the writer runs, training may have changed it."""
    try:
        result = inspect()
    except Exception as error:  # noqa: BLE001 - a user's own model may raise anything
        warn(_failed(path, error))
        return

    def write() -> None:
        check()
        try:
            write_atomically(path, to_bytes(result))
        except OSError as error:
            text = f"{path.name} could not be written: {error.strerror}; the Model view lacks it"
            raise StorageError(text) from None
        except Exception as error:  # noqa: BLE001 - the result of a user's own model is unchecked
            raise StorageError(_failed(path, error)) from None

    writer.write(write, written=lambda: None, failed=lambda error: warn(str(error)))


def _failed(path: Path, error: Exception) -> str:
    problem = f"{type(error).__name__}: {error}"
    return f"{path.name} could not be created: {problem}; the Model view lacks it"
