"""Export as ONNX, from pixels to probabilities, for any number of images."""

from typing import Any

import torch

from cnn_engine.export import Files
from cnn_engine.export.model import import_optional, load
from cnn_engine.runs.directory import RunDirectory

MODEL_FILE = "model.onnx"


def export(run: RunDirectory, *, allow_code: bool = False) -> Files:
    """Return the model as one ONNX file, and the files beside it.

    Raises:
        ConfigError: the run has no model, it cannot be exported, or a library is not installed.
        DataError: the checkpoint is damaged.
        StorageError: the checkpoint cannot be read.
    """
    import_optional("onnx")
    import_optional("onnxscript")
    model = load(run, allow_code=allow_code)
    program: Any = torch.onnx.export(
        model.program(),
        dynamo=True,
        dynamic_shapes=({0: "N"},),
        input_names=["images"],
        output_names=["probabilities"],
        verbose=False,
    )
    proto = program.model_proto
    proto.producer_name = "cnn-tui"
    return {
        MODEL_FILE: proto.SerializeToString(),
        **model.extra_files(
            "onnx",
            normalizes=True,
            file=MODEL_FILE,
            input="images: uint8 [N, size, size, channels], from preprocess.py",
            output="probabilities: float32 [N, classes]",
        ),
    }
