"""Export as ONNX, from pixels to probabilities, for any number of images."""

from typing import Any

import torch

from cnn_engine.errors import ConfigError
from cnn_engine.export import Files
from cnn_engine.export.model import load
from cnn_engine.runs.directory import RunDirectory
from cnn_engine.system.optional import import_optional

MODEL_FILE = "model.onnx"


OLDEST_RUNTIME = {18: "1.14", 19: "1.15", 20: "1.17", 21: "1.18", 22: "1.21", 23: "1.23"}
"""Oldest ONNX Runtime by operator set, of those that PyTorch writes; see
https://onnxruntime.ai/docs/reference/compatibility.html."""

DEFAULT_OPSET = min(OLDEST_RUNTIME)

MAX_BYTES = 2_000_000_000
"""Maximum size of the weights: protobuf limits a file to 2 GiB."""


def export(run: RunDirectory, *, allow_code: bool = False, opset: int = DEFAULT_OPSET) -> Files:
    """Return the model as one ONNX file, and the files beside it.

    Args:
        run: The run.
        allow_code: Import the network if it is the user's own code.
        opset: Version of the operator set; the lowest one runs in the most runtimes.

    Raises:
        ConfigError: the run has no model, it cannot be exported, the operator set is not one of
            `OLDEST_RUNTIME`, or a library is not installed.
        DataError: the checkpoint is damaged.
        StorageError: the checkpoint cannot be read.
    """
    if opset not in OLDEST_RUNTIME:
        first, *_, last = OLDEST_RUNTIME
        raise ConfigError(f"--opset {opset}: PyTorch writes operator sets {first} to {last}")
    model = load(run, allow_code=allow_code)
    size = sum(values.nbytes for values in model.classifier.state_dict().values())
    if size > MAX_BYTES:
        raise ConfigError(
            f"export: the weights have {size:,} bytes, and an ONNX file holds at most 2 GB; use "
            "--to torch-export or --to safetensors"
        )
    onnx = import_optional("onnx", "export")
    import_optional("onnxscript", "export")
    program: Any = torch.onnx.export(
        model.program(),
        dynamo=True,
        dynamic_shapes=({0: "N"},),
        input_names=["images"],
        output_names=["probabilities"],
        opset_version=opset,
        verbose=False,
    )
    proto = program.model_proto
    proto.producer_name = "cnn-tui"
    # PyTorch declares a newer IR version than the operators need, which older runtimes refuse.
    proto.ir_version = onnx.helper.find_min_ir_version_for(proto.opset_import)
    _remove_metadata(proto)
    onnx.checker.check_model(proto)
    runtime = f"onnxruntime>={OLDEST_RUNTIME[opset]}"
    files = model.extra_files(
        "onnx",
        normalizes=True,
        file=MODEL_FILE,
        opset=opset,
        ir_version=proto.ir_version,
        needs=runtime,
        input="images: uint8 [N, size, size, channels], from preprocess.py",
        output="probabilities: float32 [N, classes]",
    )
    example = files["example.py"].replace(b"onnxruntime", runtime.encode(), 1)
    return {MODEL_FILE: proto.SerializeToString(), **files, "example.py": example}


def _remove_metadata(proto: Any) -> None:  # noqa: ANN401 - an onnx.ModelProto
    """Remove metadata, which IR version 8 does not have: stack traces with local paths."""
    graph = proto.graph
    tensors = (*graph.input, *graph.output, *graph.value_info, *graph.initializer)
    for item in (proto, graph, *graph.node, *tensors):
        del item.metadata_props[:]
