"""Hints at what in a folder of images would keep a run from learning, from a sample of them."""

from collections.abc import Iterator
from pathlib import Path

import torch
from torch.nn.functional import adaptive_avg_pool2d

from cnn_engine.config.schema import Config
from cnn_engine.data.dataset import DataSet
from cnn_engine.data.marks import MARKS_FILE
from cnn_engine.data.mirrored import mirrored_text, pairs_by_content, pairs_by_name
from cnn_engine.system.program import shell_command

SIDE = 16
"""Side in pixels of the images that are compared."""

DARK = 63
"""Brightest value of images that are nearly black."""


def hints(data: DataSet, config: Config) -> Iterator[str]:
    """Yield hints on settings, and on images and classes unless they are a known data set."""
    if (config.model.name, config.optimizer.name) == ("torchvision", "muon"):
        yield (
            "muon takes long for the large layers of torchvision's networks, on a processor longer "
            "than all else: the preset transfer has a suitable optimizer"
        )
    if not data.paths:
        return
    marks = Path(config.data.path or "") / MARKS_FILE
    if config.data.marks == "ignore" and marks.exists():
        yield f"the marks in {marks} are not used, because of data.marks = ignore"
    brightest = max(int(data.images[index].max()) for index in data.train_sample())
    if brightest <= DARK:
        table = ("--table", config.data.table) if config.data.table else ()
        check = shell_command("data", "check", config.data.path or "FOLDER", *table)
        yield (
            f"the images are nearly black: no value exceeds {brightest} of 255; for scans in "
            f"16-bit files set data.max_value, which is suggested by: {check}"
        )
    settings = [
        f"{key}=none"
        for key, value in (
            ("augment.flip", config.augment.flip),
            ("evaluate.tta", config.evaluate.tta),
        )
        if value != "none"
    ]
    if settings and (text := _mirrored(data)):
        yield f"{text}: if left and right matter, --set {' --set '.join(settings)}"


def _mirrored(data: DataSet) -> str:
    sample = data.train_sample()
    grey = (data.images[index].float().mean(dim=2) for index in sample)
    small = torch.cat([adaptive_avg_pool2d(image[None], SIDE) for image in grey])
    by_content = pairs_by_content(small.numpy(), data.labels[sample].numpy(), len(data.classes))
    return mirrored_text(data.classes, pairs_by_name(data.classes), by_content)
