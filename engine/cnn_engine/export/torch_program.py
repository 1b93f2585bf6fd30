"""Export as a `torch.export` program, which runs without cnn-tui.

PyTorch has deprecated TorchScript in favour of `torch.export`.
"""

from io import BytesIO

import torch

from cnn_engine.export import Files
from cnn_engine.export.model import load
from cnn_engine.runs.directory import RunDirectory

MODEL_FILE = "model.pt2"


def export(run: RunDirectory, *, allow_code: bool = False) -> Files:
    """Return the model as one file, and the files beside it.

    Raises:
        ConfigError: the run has no model, or it cannot be exported.
        DataError: the checkpoint is damaged.
        StorageError: the checkpoint cannot be read.
    """
    model = load(run, allow_code=allow_code)
    content = BytesIO()
    torch.export.save(model.program(), content)
    return {
        MODEL_FILE: content.getvalue(),
        **model.extra_files(
            "torch-export",
            normalizes=True,
            file=MODEL_FILE,
            input="uint8 [N, size, size, channels], from preprocess.py",
            output="float32 [N, classes]: probabilities",
        ),
    }
