"""Export of the weights alone as safetensors, a format without code."""

from cnn_engine.export import Files
from cnn_engine.export.model import load, needed
from cnn_engine.runs.directory import RunDirectory

MODEL_FILE = "model.safetensors"


def export(run: RunDirectory, *, allow_code: bool = False) -> Files:
    """Return the state dict as safetensors, and the files beside it.

    Raises:
        UserError: the run has no good model, or safetensors is not installed.
    """
    safetensors = needed("safetensors.torch")
    model = load(run, allow_code=allow_code)
    content: bytes = safetensors.save(model.trained.model.state_dict(), {"format": "pt"})
    return {
        MODEL_FILE: content,
        **model.beside(
            "safetensors",
            normalizes=False,
            file=MODEL_FILE,
            input="float32 [N, channels, size, size]: (pixels / 255 - mean) / std",
            output="float32 [N, classes]: scores; softmax makes them probabilities",
        ),
    }
