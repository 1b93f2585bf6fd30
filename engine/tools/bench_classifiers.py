"""Compares the preset `folder` with a plain torchvision loop and Ultralytics' classifier.

    python engine/tools/bench_classifiers.py --data-dir DIR [--seconds 120] [--images 5000]

DIR contains `train/<class>/` and `test/<class>/`. All train on the same images for the same time,
from random weights, one after another and each in a process of its own:

- `cnn-tui`: the preset `folder`, with the number of epochs that fits. It keeps a fifth of the
  training images for validation.
- `torchvision`: `ImageFolder`, `DataLoader` with a worker per core, flips and shifted crops,
  `resnet18` (or `--arch`) with SGD, Nesterov momentum and a cosine schedule over the time.
- `ultralytics`: `yolo11n-cls` (or `--yolo`) with its own recipe, if the package is installed.

The seconds include imports, reading of images, and the test.
"""

import argparse
import importlib.util
import json
import math
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context, set_start_method
from pathlib import Path

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp"})


@dataclass(frozen=True, kw_only=True)
class Task:
    """Images and time that all sides have."""

    folder: str
    """Folder with `train` and `test`."""

    size: int
    """Side of the images in pixels."""

    seconds: float
    batch_size: int
    seed: int
    arch: str
    yolo: str


def main() -> None:
    """Print test accuracy and seconds of each side when it ends."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data-dir", required=True, type=Path)
    parser.add_argument("--images", type=int, default=5_000, help="training images")
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--batch-size", type=int, default=64, help="of torchvision, ultralytics")
    parser.add_argument("--arch", default="resnet18", help="torchvision's network")
    parser.add_argument("--yolo", default="yolo11n-cls.yaml", help="Ultralytics' network")
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=[*SIDES])
    parser.add_argument("--rounds", type=int, default=1, help="with another seed each")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        os.environ["XDG_CACHE_HOME"] = f"{directory}/cache"  # all read their images
        count = link_images(options.data_dir, Path(directory) / "images", options.images)
        print(f"{count:,} training images, {options.seconds:g} s, {os.cpu_count()} cores")
        print(f"{'':<12}{'seed':>5}{'test accuracy':>15}{'seconds':>9}  epochs", flush=True)
        for seed in range(options.rounds):
            task = Task(
                folder=f"{directory}/images",
                size=options.image_size,
                seconds=options.seconds,
                batch_size=options.batch_size,
                seed=seed,
                arch=options.arch,
                yolo=options.yolo,
            )
            for name in options.sides:
                print(f"{name:<12}{seed:>5}{_measured(name, task)}", flush=True)


def link_images(source: Path, target: Path, count: int) -> int:
    """Link all test images, and as many training images per class; return the number of those."""
    linked = 0
    classes = sorted(path.name for path in (source / "train").iterdir() if path.is_dir())
    for split, most in (("train", count // len(classes)), ("test", sys.maxsize)):
        for name in classes:
            paths = sorted((source / split / name).iterdir())
            images = [path for path in paths if path.suffix.lower() in SUFFIXES]
            random.Random(0).shuffle(images)  # noqa: S311 - a sample
            (target / split / name).mkdir(parents=True)
            for path in images[:most]:
                (target / split / name / path.name).symlink_to(path.absolute())
                linked += split == "train"
    return linked


def _measured(name: str, task: Task) -> str:
    if name == "ultralytics" and importlib.util.find_spec(name) is None:
        return "  not installed"
    start = time.perf_counter()
    try:
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
            accuracy, epochs = pool.submit(_train, name, task, time.time()).result()
    except Exception as error:  # noqa: BLE001 - the other sides are measured nevertheless
        return f"  failed: {type(error).__name__}: {error}"
    return f"{accuracy:>15.2%}{time.perf_counter() - start:>9.1f}  {epochs:.1f}"


def _train(name: str, task: Task, start: float) -> tuple[float, float]:
    """Train a side in this process, whose own processes start as in a script."""
    set_start_method(None, force=True)
    return SIDES[name](task, start)


def train_cnn_tui(task: Task, start: float) -> tuple[float, float]:
    """Train the preset `folder`; return test accuracy and epochs."""
    from cnn_engine.system.malloc import keep_freed_memory  # noqa: PLC0415 - in its own process

    keep_freed_memory()
    from cnn_engine.runs.directory import create_run  # noqa: PLC0415
    from cnn_engine.runs.recorder import Recorder  # noqa: PLC0415
    from cnn_engine.session.engine import Engine  # noqa: PLC0415
    from cnn_engine.session.request import Request  # noqa: PLC0415

    settings = (
        f"data.path={json.dumps(task.folder)}",
        f"data.image_size={task.size}",
        f"train.seed={task.seed}",
        f"train.budget_seconds={task.seconds - (time.time() - start)}",
    )
    with tempfile.TemporaryDirectory() as runs_dir:
        recorder = Recorder(create_run(Path(runs_dir)))
        engine = Engine(Request.from_preset("folder", settings), recorder)
        engine.start()
        engine.join()
    state = recorder.state
    if state.test is None:
        raise SystemExit(state.finished.error if state.finished else "the run did not end")
    return state.test.accuracy, len(state.epochs)


def train_torchvision(task: Task, start: float) -> tuple[float, float]:
    """Train with a usual loop of torchvision; return test accuracy and epochs."""
    import torch  # noqa: PLC0415 - in its own process
    from torch import nn  # noqa: PLC0415
    from torch.utils.data import DataLoader  # noqa: PLC0415
    from torchvision import datasets, models, transforms  # noqa: PLC0415

    torch.manual_seed(task.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    resize = [transforms.Resize(task.size), transforms.CenterCrop(task.size)]
    to_tensor = [transforms.ToTensor(), transforms.Normalize((0.5,) * 3, (0.5,) * 3)]
    shift = [transforms.RandomHorizontalFlip(), transforms.RandomCrop(task.size, task.size // 8)]
    train, test = (
        datasets.ImageFolder(f"{task.folder}/{split}", transforms.Compose(steps))
        for split, steps in (("train", resize + shift + to_tensor), ("test", resize + to_tensor))
    )
    workers = os.cpu_count() or 1
    loader = DataLoader(
        train, task.batch_size, shuffle=True, num_workers=workers, persistent_workers=True
    )
    model = models.get_model(task.arch, num_classes=len(train.classes)).to(device)
    optimizer = torch.optim.SGD(
        model.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4, nesterov=True
    )
    first, steps = time.time(), 0
    available = task.seconds - (first - start)
    while time.time() - first < available:
        for images, labels in loader:
            passed = min(1.0, (time.time() - first) / available)
            optimizer.param_groups[0]["lr"] = 0.05 * (1 + math.cos(math.pi * passed)) / 2
            loss = nn.functional.cross_entropy(model(images.to(device)), labels.to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            steps += 1
            if time.time() - first >= available:
                break
    model.eval()
    correct = 0
    with torch.inference_mode():
        for images, labels in DataLoader(test, 256, num_workers=workers):
            correct += int((model(images.to(device)).argmax(1).cpu() == labels).sum())
    return correct / len(test), steps / len(loader)


def train_ultralytics(task: Task, start: float) -> tuple[float, float]:
    """Train Ultralytics' classifier from random weights; return test accuracy and epochs."""
    os.environ.setdefault("YOLO_VERBOSE", "false")
    os.environ.setdefault("YOLO_CONFIG_DIR", tempfile.mkdtemp())
    from ultralytics import YOLO  # noqa: PLC0415 - in its own process

    with tempfile.TemporaryDirectory() as project:
        model = YOLO(task.yolo, task="classify")
        common = {"imgsz": task.size, "project": project, "plots": False, "verbose": False}
        model.train(
            data=task.folder,
            time=(task.seconds - (time.time() - start)) / 3600,
            epochs=100,  # its default; for many more it chooses Muon, which is slow on a processor
            batch=task.batch_size,
            seed=task.seed,
            workers=os.cpu_count() or 1,
            pretrained=False,
            val=False,
            **common,
        )
        epochs = model.trainer.epoch + 1
        accuracy = model.val(data=task.folder, split="test", **common).top1
    return float(accuracy), float(epochs)


SIDES: dict[str, Callable[[Task, float], tuple[float, float]]] = {
    "cnn-tui": train_cnn_tui,
    "torchvision": train_torchvision,
    "ultralytics": train_ultralytics,
}

if __name__ == "__main__":
    main()
