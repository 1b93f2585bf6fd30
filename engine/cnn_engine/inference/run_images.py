"""The images of a run, with its split and its marks."""

from cnn_engine.config.schema import Config
from cnn_engine.data.dataset import DataSet, load_dataset
from cnn_engine.data.marks import find_run_marks
from cnn_engine.progress import Progress
from cnn_engine.runs.directory import RunDirectory


def load_run_images(
    run: RunDirectory, config: Config, path: str | None, progress: Progress
) -> DataSet:
    """Load the images of a run.

    Args:
        run: The run, which has its marks.
        config: Its config.
        path: Directory that the images were moved to; None if they were not.
        progress: Called with a label, the number done and the total; may raise to stop.

    Raises:
        ConfigError: the config does not fit the images.
        DataError: images, labels or marks are missing or damaged.
    """
    images = config.data if path is None else config.data.moved_to(path)
    return load_dataset(images, config.train.seed, progress, find_run_marks(run.path))
