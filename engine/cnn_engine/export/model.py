"""Files that every model export has: the model in fp32, a description and an example program."""

import json
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from cnn_engine.config.schema import TrainConfig
from cnn_engine.data import preprocess
from cnn_engine.errors import ConfigError
from cnn_engine.export import Files
from cnn_engine.export.classifier import Classifier
from cnn_engine.inference.trained import TrainedModel, load_trained_model
from cnn_engine.runs.directory import RunDirectory
from cnn_engine.runs.summary import read_summary

ABOUT_FILE = "model.json"
BESIDE = Path(__file__).parent / "beside"

PREPARATION = {
    "orientation": "apply the EXIF rotation",
    "transparency": "composite on white",
    "animation": "use the first frame",
    "max_value": "white in images of more than 8 bits; null for the greatest value of their bits",
    "colours": "convert to RGB, or to grey if channels is 1",
    "crop": "scale the shorter side to size (bilinear), crop to the central square",
    "pad": "scale the longer side to size (bilinear), pad with #808080",
    "stretch": "scale both sides to size (bilinear)",
    "code": "preprocess.py",
}
"""Description of the preprocessing, by `fit`; `preprocess.py` implements it."""


@dataclass(frozen=True, kw_only=True)
class Exported:
    """A run's best model, in fp32 on the CPU."""

    trained: TrainedModel
    classifier: Classifier

    about: dict[str, Any]
    """Content of `model.json` that does not depend on the format."""

    def program(self) -> torch.export.ExportedProgram:
        """Return the classifier as an exported program for any number of images.

        Raises:
            ConfigError: `torch.export` fails on the network.
        """
        channels, size, _ = self.trained.image_shape
        images = torch.zeros(2, size, size, channels, dtype=torch.uint8)
        count = torch.export.Dim("N", min=1)
        try:
            return torch.export.export(self.classifier, (images,), dynamic_shapes=({0: count},))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a user's network may exit
            reason = str(error).strip().partition("\n")[0]
            raise ConfigError(
                f"export: torch.export cannot export this network ({reason}); "
                "--to safetensors works with any"
            ) from None

    def extra_files(self, format_name: str, *, normalizes: bool, **about: object) -> Files:
        """Return the files beside the model: description, preprocessing and example program.

        Args:
            format_name: Name of the format, as in `--to`.
            normalizes: True if the exported model normalizes, False if the caller has to.
            about: Further keys of `model.json`.
        """
        data = self.trained.config.data
        normalisation = {"done_by_the_model": normalizes, "mean": data.mean, "std": data.std}
        content = {"format": format_name, **about, "normalisation": normalisation, **self.about}
        text = json.dumps(content, indent=2)
        example = f"example_{format_name.replace('-', '_')}.py"
        return {
            ABOUT_FILE: f"{text}\n".encode(),
            "preprocess.py": Path(preprocess.__file__).read_bytes(),
            "example.py": (BESIDE / example).read_bytes(),
        }


def load(run: RunDirectory, *, allow_code: bool = False) -> Exported:
    """Load a run's best model for export.

    Raises:
        ConfigError: no model is saved yet, or the network is code that is not allowed.
        DataError: the checkpoint is damaged.
        StorageError: it cannot be read.
    """
    on_cpu = TrainConfig(device="cpu", precision="fp32")
    trained = load_trained_model(run, on_cpu, allow_code=allow_code)
    trained.model.to(memory_format=torch.contiguous_format)
    data = trained.config.data
    channels, size, _ = trained.image_shape
    summary = read_summary(run)
    about = {
        "classes": trained.classes,
        "size": size,
        "channels": channels,
        "fit": data.fit,
        "max_value": data.max_value,
        "preparation": PREPARATION,
        # The path of pretrained weights is useless on another machine.
        "network": trained.config.model.model_dump(mode="json", exclude={"weights"}),
        "run": run.id,
        "epoch": trained.epoch,
        "test_accuracy": summary.test_accuracy,
        "validation_accuracy": summary.best_val_accuracy,
        "cnn_tui": version("cnn-tui"),
        "torch": torch.__version__,
    }
    classifier = Classifier(trained.model, data.mean, data.std).eval()
    return Exported(trained=trained, classifier=classifier, about=about)
