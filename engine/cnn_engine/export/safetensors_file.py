"""Export of the weights as safetensors, a format that contains no code."""

import torch

from cnn_engine.export import Files
from cnn_engine.export.model import load
from cnn_engine.runs.directory import RunDirectory
from cnn_engine.system.optional import import_optional

MODEL_FILE = "model.safetensors"

NEEDS = "cnn-tui, safetensors"
"""Libraries that its example program imports, as its first line names them."""


def export(run: RunDirectory, *, allow_code: bool = False) -> Files:
    """Return the state dict as safetensors, and the files beside it.

    Raises:
        ConfigError: the run has no model, or safetensors is not installed.
        DataError: the checkpoint is damaged.
        StorageError: the checkpoint cannot be read.
    """
    model = load(run, allow_code=allow_code)
    safetensors = import_optional("safetensors.torch", "export")
    # safetensors refuses tensors that share memory or are not contiguous.
    weights = {
        name: values.clone(memory_format=torch.contiguous_format)
        for name, values in model.trained.model.state_dict().items()
    }
    content: bytes = safetensors.save(weights, {"format": "pt"})
    needs = NEEDS
    network = model.trained.config.model
    if network.is_user_model:
        module = network.name.partition(":")[0]
        needs += f", and the module {module} in this folder or the current directory"
    files = model.extra_files(
        "safetensors",
        normalizes=False,
        file=MODEL_FILE,
        needs=needs,
        input="float32 [N, channels, size, size]: (pixels / 255 - mean) / std",
        output="float32 [N, classes]: logits; softmax turns them into probabilities",
    )
    example = files["example.py"].replace(NEEDS.encode(), needs.encode(), 1)
    return {MODEL_FILE: content, **files, "example.py": example}
