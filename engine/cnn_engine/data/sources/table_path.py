"""Place of a table of labels."""

from pathlib import Path

from cnn_engine.config.paths import is_file
from cnn_engine.config.schema import DataConfig


def table_path(config: DataConfig) -> Path:
    """Return the path of the table: from the current directory, or from that of the images."""
    path = Path(config.table or "")
    in_folder = Path(config.path or "", path)
    return in_folder if not is_file(path) and is_file(in_folder) else path
