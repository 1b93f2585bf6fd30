"""Image files that a run was trained on, by their folders."""

import os
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

from cnn_engine.config.schema import DataConfig
from cnn_engine.data.marks import FILE_SOURCES
from cnn_engine.data.sources.first_rules import find_first_layout
from cnn_engine.data.sources.layout import find_layout
from cnn_engine.data.sources.table_listing import list_table
from cnn_engine.errors import ConfigError, DataError
from cnn_engine.progress import no_progress


def count_training_images(paths: Iterable[str], config: DataConfig) -> int:
    """Return how many image files are in a run's folders or table of training images.

    Parts that are split off from the training images are included, those with their own folder are
    not. It is 0 if the folder of the run is gone, or cannot be read.

    Args:
        paths: The files.
        config: The run's images.
    """
    if config.source not in FILE_SOURCES or not config.path:
        return 0
    root, paths = Path(config.path), list(paths)
    folders = [os.path.dirname(path) for path in paths]  # noqa: PTH120 - there may be millions
    if not any(map(_within({os.path.realpath(root)}), folders)):
        return 0
    try:
        if config.source == "csv":
            listing = list_table(config, no_progress)
            files = {os.path.realpath(file.path) for file in listing.files[: listing.train_count]}
            return sum(os.path.realpath(path) in files for path in paths)
        layout = find_layout(root) if config.rules == 2 else find_first_layout(root)
    except (ConfigError, DataError):
        return 0
    classes = {os.path.realpath(path) for found in layout.train.values() for path in found}
    return sum(map(_within(classes), folders))


def _within(known: set[str]) -> Callable[[str], bool]:
    """Return a function that returns True for a known folder, and for folders in one."""

    @cache  # most folders are those of many files
    def is_within(folder: str) -> bool:
        path = Path(os.path.realpath(folder))
        return any(str(parent) in known for parent in (path, *path.parents))

    return is_within
