"""Export as a `torch.export` program, which needs no code of cnn-tui.

By `torch.export` and not as TorchScript: PyTorch has deprecated that in favour of this.
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
        UserError: the run has no good model.
    """
    model = load(run, allow_code=allow_code)
    content = BytesIO()
    torch.export.save(model.program(), content)
    return {
        MODEL_FILE: content.getvalue(),
        **model.beside(
            "torch-export",
            normalizes=True,
            file=MODEL_FILE,
            input="uint8 [N, size, size, channels], as preprocess.py makes them",
            output="float32 [N, classes]: probabilities",
        ),
    }
