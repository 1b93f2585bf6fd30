"""The model of a run, ready to be used: its best checkpoint, its classes, its arithmetic."""

from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from cnn_engine.checkpoints import checkpoint
from cnn_engine.checkpoints.format import BEST_FILE
from cnn_engine.config.presets import from_dict
from cnn_engine.config.schema import Config, TrainConfig
from cnn_engine.errors import ConfigError, DataError
from cnn_engine.models.build import build_model
from cnn_engine.models.renamed import rename_old_keys
from cnn_engine.runs.directory import RunDirectory
from cnn_engine.runs.summary import read_state
from cnn_engine.system.device import arithmetic, choose_device, choose_precision, limit_threads
from cnn_engine.training.snapshot import check_weights


@dataclass(frozen=True, kw_only=True)
class TrainedModel:
    """A trained model and what it takes to use it."""

    model: nn.Module
    """In evaluation mode, on the device: normalised images to scores [N, classes]."""

    config: Config
    """What it was trained with."""

    classes: tuple[str, ...]
    """Class names, in the order of the scores."""

    image_shape: tuple[int, int, int]
    """Channels, height and width of the images that it takes."""

    epoch: int
    """Epoch that the weights are from."""

    device: torch.device
    precision: str

    @torch.inference_mode()
    def logits(self, images: Tensor) -> Tensor:
        """Scores, fp32 [N, classes] on the host, of images as they are: uint8 [N, H, W, C]."""
        normalised = self.normalize(images)
        with self.arithmetic():
            scores: Tensor = self.model(normalised)
        return scores.float().cpu()

    def normalize(self, images: Tensor) -> Tensor:
        """Return float [N, C, H, W] on the device of images, uint8 [N, H, W, C]."""
        mean, std = (
            torch.tensor(values, device=self.device)
            for values in (self.config.data.mean, self.config.data.std)
        )
        # As `Batches` does it, to the bit.
        normalised = images.to(self.device).float() * (1 / (255 * std)) - mean / std
        return normalised.permute(0, 3, 1, 2)  # channels-last in memory

    def arithmetic(self) -> AbstractContextManager[None]:
        """Compute as it was trained, where this machine can."""
        return arithmetic(self.device, self.precision)


def load_trained_model(
    run: RunDirectory, train: TrainConfig | None = None, *, allow_code: bool = False
) -> TrainedModel:
    """The best model of a run so far.

    Args:
        run: Which run.
        train: Names the device and precision to use, if others than the run's own config does.
        allow_code: Import the network, if it is code of the run's user.

    Raises:
        ConfigError: nothing is saved yet, the checkpoint is of another model than the config, or
            that is code which is not allowed.
        DataError: the checkpoint is damaged.
        StorageError: it cannot be read.
    """
    state, _ = read_state(run)
    if state.prepared is None or not (run.path / BEST_FILE).exists():
        raise ConfigError(f"run {run.id}: has no model yet; one is saved after its first epoch")
    config = from_dict(state.config, allow_code=allow_code)
    device = choose_device(train or config.train)
    limit_threads()
    content = checkpoint.load(run.path / BEST_FILE, device)
    channels, size, _ = state.prepared.image_shape
    classes = state.prepared.classes
    model = build_model(config.model, channels, size, len(classes))
    content = rename_old_keys(model, content)
    check_weights(model.state_dict(), content["model"], BEST_FILE)
    model.load_state_dict(content["model"])
    model.to(device).to(memory_format=torch.channels_last)
    if content.get("classes") != list(classes):
        raise DataError(f"{run.path / BEST_FILE}: is of other classes than the run's log tells")
    if not isinstance(content.get("epoch"), int):
        raise DataError(f"{run.path / BEST_FILE}: does not say which epoch it is from")
    return TrainedModel(
        model=model.eval(),
        config=config,
        classes=classes,
        image_shape=(channels, size, size),
        epoch=content["epoch"],
        device=device,
        precision=choose_precision(train or config.train, device),
    )
