"""Listing of the image files of a config, in class folders or in a table."""

from pathlib import Path

from cnn_engine.config.schema import DataConfig
from cnn_engine.data.sources.listing import Listing, list_images
from cnn_engine.data.sources.table_listing import list_table
from cnn_engine.progress import Progress


def list_files(config: DataConfig, progress: Progress, *, empty_classes: bool = False) -> Listing:
    """List the image files of the source `folder` or `csv`, with their classes and splits.

    Args:
        config: Source and folder of the images.
        progress: Called with the number of files found.
        empty_classes: Allow class folders without images.

    Raises:
        ConfigError: the config names a column that the table does not have.
        DataError: there are no classes or no images, or files or rows cannot be used.
    """
    if config.source == "csv":
        return list_table(config, progress)
    root = Path(config.path or "")
    return list_images(root, progress, rules=config.rules, empty_classes=empty_classes)
