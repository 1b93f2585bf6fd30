"""Loads the best model of a run, with its classes, device and precision."""

from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from cnn_engine.checkpoints import checkpoint
from cnn_engine.checkpoints.compat import check_weights
from cnn_engine.checkpoints.format import BEST_FILE
from cnn_engine.config.presets import from_dict
from cnn_engine.config.schema import Config, TrainConfig
from cnn_engine.data.normalize import normalize, scale_and_shift
from cnn_engine.errors import ConfigError, DataError
from cnn_engine.models.build import build_model
from cnn_engine.models.finite import infinite_buffers, non_finite_name
from cnn_engine.models.probe import run_once
from cnn_engine.models.renamed import rename_weights
from cnn_engine.runs.directory import RunDirectory
from cnn_engine.runs.summary import read_state
from cnn_engine.system.device import autocast, choose_device, choose_precision, limit_threads


@dataclass(frozen=True, kw_only=True)
class TrainedModel:
    """A trained model with what is needed to use it."""

    model: nn.Module
    """In evaluation mode, on the device: normalized images [N, C, H, W] to logits [N, classes]."""

    config: Config
    """Config of the run."""

    classes: tuple[str, ...]
    """Class names, in the order of the logits."""

    image_shape: tuple[int, int, int]
    """Channels, height and width of its images."""

    brightness: tuple[float, ...] = ()
    """Mean and standard deviation of the mean values of training images; empty if unknown."""

    epoch: int
    """Epoch that its weights are from."""

    device: torch.device
    precision: str
    """A key of `DTYPES`."""

    @torch.inference_mode()
    def logits(self, images: Tensor) -> Tensor:
        """Return logits, float32 [N, classes] on the host, of images, uint8 [N, H, W, C]."""
        normalized = self.normalize(images)
        with self.autocast():
            logits: Tensor = self.model(normalized)
        return logits.float().cpu()

    def normalize(self, images: Tensor) -> Tensor:
        """Return normalized images, float32 [N, C, H, W] on the device, of uint8 [N, H, W, C]."""
        data = self.config.data
        scale, shift = (part.to(self.device) for part in scale_and_shift(data.mean, data.std))
        return normalize(images.to(self.device), scale, shift)

    def autocast(self) -> AbstractContextManager[None]:
        """Return a context that computes in the model's precision."""
        return autocast(self.device, self.precision)


def load_trained_model(
    run: RunDirectory, train: TrainConfig | None = None, *, allow_code: bool = False
) -> TrainedModel:
    """Load the best model of a run so far.

    Args:
        run: The run.
        train: Device and precision to use instead of those of the run's config.
        allow_code: Import the network if it is the user's own code.

    Raises:
        ConfigError: nothing is saved yet, the weights do not fit the config, or the network is
            code that is not allowed, or fails.
        DataError: the checkpoint is damaged.
        StorageError: it cannot be read.
    """
    state, _ = read_state(run)
    if not state.is_own:
        raise ConfigError(f"run {run.id}: another program trains it: it has no model of cnn-tui")
    if state.prepared is None or not (run.path / BEST_FILE).exists():
        raise ConfigError(f"run {run.id}: has no model yet; one is saved after its first epoch")
    config = from_dict(state.config, allow_code=allow_code)
    device = choose_device(train or config.train)
    limit_threads()
    content = checkpoint.load(run.path / BEST_FILE, device)
    channels, size, _ = state.prepared.image_shape
    classes = state.prepared.classes
    model = build_model(config.model, channels, size, len(classes))
    content = rename_weights(model, content)
    check_weights(model.state_dict(), content["model"], BEST_FILE)
    if name := non_finite_name(content["model"], infinite_buffers(model)):
        raise DataError(
            f"{run.path / BEST_FILE}: {name} has values that are NaN or infinite; train again with "
            "a lower optimizer.lr"
        )
    model.load_state_dict(content["model"])
    model.to(device).to(memory_format=torch.channels_last)
    if config.model.is_user_model:  # its code may have changed since
        run_once(
            model.eval(), torch.zeros(1, channels, size, size, device=device), config.model.name
        )
    if content.get("classes") != list(classes):
        raise DataError(f"{run.path / BEST_FILE}: does not have the classes of the run's log")
    if not isinstance(content.get("epoch"), int):
        raise DataError(f"{run.path / BEST_FILE}: does not contain its epoch")
    return TrainedModel(
        model=model.eval(),
        config=config,
        classes=classes,
        image_shape=(channels, size, size),
        brightness=state.prepared.brightness,
        epoch=content["epoch"],
        device=device,
        precision=choose_precision(train or config.train, device),
    )
