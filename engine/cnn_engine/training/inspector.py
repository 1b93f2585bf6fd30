"""Writes the layers and the feature maps of the model in training, for the Model view."""

from collections.abc import Callable
from pathlib import Path

from torch import Tensor

from cnn_engine.checkpoints.writer import Writer
from cnn_engine.config.schema import DataConfig
from cnn_engine.data.dataset import DataSet
from cnn_engine.data.loader import TensorLoader
from cnn_engine.evaluation.evaluate import ImagePredictions
from cnn_engine.inspection.feature_maps import CapturedFeatureMaps, feature_maps
from cnn_engine.inspection.samples import SampleImages, correct_and_mistaken, samples_per_class
from cnn_engine.inspection.writer import write_feature_maps, write_layers
from cnn_engine.results.feature_maps import MAPS_FILE, Split
from cnn_engine.results.model_layers import LAYERS_FILE
from cnn_engine.training.learner import Learner


class Inspector:
    """Writes `model.json` and `maps.bin` of a run."""

    def __init__(  # noqa: PLR0913, PLR0917 - images, output and warnings
        self,
        data: DataSet,
        config: DataConfig,
        loader: TensorLoader,
        directory: Path,
        writer: Writer,
        check: Callable[[], None],
        warn: Callable[[str], None],
    ) -> None:
        """Inspect models on images of `data`.

        Args:
            data: The images.
            config: Their normalization.
            loader: The same, on the device.
            directory: The run's directory.
            writer: Writes the files, at once or in the background.
            check: Called before each file is written; raises StorageError if none may be.
            warn: Called with a text if the model cannot be inspected or a file cannot be written.
        """
        self._data, self._config, self._loader = data, config, loader
        self._directory, self._writer = directory, writer
        self._check, self._warn = check, warn

    def write_layers(self, learner: Learner) -> None:
        """Write the model's layers."""
        images, _ = next(self._loader.batches(self._data.train[:1], 1))
        with learner.autocast():
            path = self._directory / LAYERS_FILE
            write_layers(learner.model, images, path, self._writer, self._check, self._warn)

    def write_validation_maps(self, learner: Learner, epoch: int) -> None:
        """Write feature maps of some validation images, if there are any."""
        if len(self._data.val):
            indices = samples_per_class(self._data, self._data.val)
            with learner.averaged():
                self._write_maps(learner, "validation", indices, epoch)

    def write_test_maps(self, learner: Learner, predictions: ImagePredictions, epoch: int) -> None:
        """Write feature maps of some correctly classified and some mistaken test images."""
        indices = correct_and_mistaken(self._data, predictions)
        self._write_maps(learner, "test", indices, epoch)

    def _write_maps(self, learner: Learner, split: Split, indices: Tensor, epoch: int) -> None:
        if not learner.weights.are_finite():
            self._warn(f"{MAPS_FILE} is not updated because weights are not finite")
            return

        def capture() -> CapturedFeatureMaps:
            samples = SampleImages.from_dataset(self._data, self._config, split, indices)
            images, _ = next(self._loader.batches(indices, len(indices)))
            weights = learner.weights.state_dict()
            with learner.autocast():
                return feature_maps(learner.model, images, samples, weights, epoch, self._warn)

        path = self._directory / MAPS_FILE
        write_feature_maps(capture, path, self._writer, self._check, self._warn)
