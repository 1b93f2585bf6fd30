"""What every reader of images returns, and where it looks for them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from platformdirs import user_data_path

Pixels: TypeAlias = NDArray[np.uint8]

Progress: TypeAlias = Callable[[str, int, int], None]
"""Told what is being done, units done, and units in all (0 if unknown); may raise to stop it."""


@dataclass(frozen=True, kw_only=True)
class RawImages:
    """Images as a reader found them, those for training first."""

    images: Pixels
    """uint8 [N, H, W, C]."""

    labels: NDArray[np.int64]
    """int64 [N], positions in `classes`."""

    classes: tuple[str, ...]
    """Class names."""

    train_count: int
    """How many of the images are for training; N where the source has no test images."""

    source: str
    """What they are and where they were found, in a line."""

    paths: tuple[str, ...] = ()
    """Of images in files of their own, which file each is, below the folder named; or nothing."""

    skipped: tuple[str, ...] = ()
    """Files that could not be read and were left out, each with the reason."""

    notices: tuple[str, ...] = ()
    """What the user should know of how they were read."""


def download_dir() -> Path:
    """Where data sets go that are downloaded without a directory being named."""
    return user_data_path("cnn-tui") / "data"


def search_directories(path: str | None) -> list[Path]:
    """Directories to look in: the one named, or else `./data` and where downloads go."""
    return [Path(path)] if path else [Path("data"), download_dir()]
