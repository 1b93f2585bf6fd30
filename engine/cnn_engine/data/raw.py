"""Result type of all image sources, and the directories they search."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from cnn_engine.storage.user_directories import user_data_directory

Pixels: TypeAlias = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class RawImages:
    """Images as read from a source: training, then validation, then test images."""

    images: Pixels
    """uint8 [N, H, W, C]."""

    labels: NDArray[np.int64]
    """int64 [N], indices into `classes`."""

    classes: tuple[str, ...]
    """Class names."""

    train_count: int
    """Number of training images; N if the source has no other images."""

    val_count: int = 0
    """Number of validation images; 0 if they are split off from the training images."""

    source: str
    """Description of the images and their location, one line."""

    paths: tuple[str, ...] = ()
    """File of each image, relative to the folder; empty if the images are not separate files."""

    files_digest: str = ""
    """SHA-256 of the paths and sizes of these files; empty if there are none."""

    decoding: Mapping[str, str] = field(default_factory=dict)
    """Versions of the programs that have decoded the files, by name; see `DECODING_NAMES`."""

    skipped: tuple[str, ...] = ()
    """Unreadable files that were skipped, each with the reason."""

    notices: tuple[str, ...] = ()
    """Messages to the user about reading the images."""


def download_dir() -> Path:
    """Return the default directory of downloads."""
    return user_data_directory() / "data"


def search_directories(path: str | None) -> list[Path]:
    """Return the directories to search: the given one, else `./data` and the downloads."""
    return [Path(path)] if path else [Path("data"), download_dir()]
