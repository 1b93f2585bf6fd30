"""Checks that every classifier of torchvision can be trained, tested and exported.

    python engine/tools/check_architectures.py [ARCH ...] [--native] [--no-export]

Each network is built by its smallest image size, or with `--native` by that of its weights, trained
for two steps, tested, and exported to every format; ONNX Runtime and `torch.export` must answer as
the network does. All take an hour on one core. Exit code 1 if one fails.
"""

import argparse
import gc
import json
import os
import sys
import tempfile
import time
from io import BytesIO
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import psutil
import torch
from PIL import Image
from torchvision import models

from cnn_engine.errors import UserError
from cnn_engine.export import onnx_file, safetensors_file, torch_program
from cnn_engine.inference.trained import load_trained_model
from cnn_engine.models.torchvision_model import image_sizes
from cnn_engine.runs.directory import RunDirectory, create_run
from cnn_engine.runs.recorder import Recorder
from cnn_engine.session.engine import Engine
from cnn_engine.session.request import Request

SETTINGS = (
    "data.validation_fraction=0.2",
    "model.freeze=false",
    "optimizer.name=sgd",
    "optimizer.lr=0.0001",
    "train.batch_size=3",
    "train.epochs=1",
    "train.device=cpu",
    "train.precision=fp32",
)
IMAGES_PER_CLASS = 5
"""Of which three are trained on, in two batches of both classes."""

SMALL = 96
"""Smallest image size; with smaller ones, deep networks end in maps of a single pixel, of which the
few images of a batch give no statistics."""

BYTES_PER_PARAMETER = 32
"""Memory of a run and its exports: weights, gradients, momentum, checkpoint and its copies."""

TOLERANCE = 1e-3
"""Maximum difference between two probabilities of the same image."""


def main() -> None:
    """Print a line per network, and count those that fail."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("archs", nargs="*", metavar="ARCH")
    parser.add_argument("--native", action="store_true", help="image size of the weights")
    parser.add_argument("--no-export", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    known = models.list_models(module=models)
    failed = []
    for arch in sorted(options.archs or known, key=_parameters):
        start = time.perf_counter()
        sizes = image_sizes(arch)
        least = -(-max(sizes.min, SMALL) // sizes.divisor) * sizes.divisor
        size = sizes.native if options.native else least
        needed, free = _parameters(arch) * BYTES_PER_PARAMETER, psutil.virtual_memory().available
        if needed > free / 2:
            print(f"{arch:<20} left out: needs {needed >> 30} GiB of memory", flush=True)
            continue
        try:
            text = check(arch, size, export=not options.no_export)
        except Exception as error:  # noqa: BLE001 - all failures are listed
            failed.append(arch)
            text = f"FAILED: {type(error).__name__}: {error}"
        seconds = time.perf_counter() - start
        print(f"{arch:<20} {size:>4} px  {seconds:5.1f} s  {text}", flush=True)
        gc.collect()
    sys.exit(f"failed: {', '.join(failed)}" if failed else 0)


def _parameters(arch: str) -> int:
    weights = next(iter(models.get_model_weights(arch)))
    count: int = weights.meta["num_params"]
    return count


def check(arch: str, size: int, *, export: bool) -> str:
    """Train, test and export a network; return its test accuracy and what was exported.

    Raises:
        Exception: something fails, or an exported model answers differently.
    """
    with tempfile.TemporaryDirectory() as directory:
        run = train(arch, size, Path(directory))
        return f"trained, tested{export_all(run) if export else ''}"


def train(arch: str, size: int, directory: Path) -> RunDirectory:
    """Train and test a network on images of noise; return its run.

    Raises:
        RuntimeError: training or testing fails.
    """
    random = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (directory / "photos" / name).mkdir(parents=True)
        for number in range(IMAGES_PER_CLASS):
            pixels = random.integers(256, size=(size, size, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(directory / "photos" / name / f"{number}.png")
    settings = (
        f"data.path={json.dumps(str(directory / 'photos'))}",
        f"data.image_size={size}",
        f"model.arch={arch}",
    )
    run = create_run(directory / "runs")
    recorder = Recorder(run)
    engine = Engine(Request.from_preset("transfer", [*SETTINGS, *settings]), recorder)
    engine.start()
    engine.join()
    state = recorder.state
    if state.finished is None or state.finished.exit_code or state.test is None:
        raise RuntimeError(state.finished.error if state.finished else "the run did not end")
    return run


def export_all(run: RunDirectory) -> str:
    """Export a run's model to all formats; return a text that names them.

    Raises:
        RuntimeError: an exported model answers differently.
        UserError: an export fails, except for an ONNX file that would be too large.
    """
    trained = load_trained_model(run)
    channels, side, _ = trained.image_shape
    images = torch.randint(256, (3, side, side, channels), dtype=torch.uint8)
    expected = trained.logits(images).softmax(dim=1)
    names = ["safetensors"]
    safetensors_file.export(run)
    program = torch_program.export(run)[torch_program.MODEL_FILE]
    _compare(torch.export.load(BytesIO(program)).module()(images), expected, "torch-export")
    names.append("torch-export")
    del program
    try:
        content = onnx_file.export(run)[onnx_file.MODEL_FILE]
    except UserError as error:
        if "holds at most" not in str(error):
            raise
        return f", exported to {', '.join(names)}; {error}"
    import onnxruntime  # noqa: PLC0415 - only needed here

    session = onnxruntime.InferenceSession(content)
    (answer,) = session.run(None, {"images": images.numpy()})
    _compare(torch.from_numpy(answer), expected, "ONNX")
    return f", exported to {', '.join([*names, 'ONNX'])}"


def _compare(answer: torch.Tensor, expected: torch.Tensor, name: str) -> None:
    difference = (answer - expected).abs().max().item()
    if not difference < TOLERANCE:
        raise RuntimeError(f"{name} answers differently, by {difference:.3g}")


if __name__ == "__main__":
    main()
