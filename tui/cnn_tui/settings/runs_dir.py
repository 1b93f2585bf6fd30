"""Makes the directory of runs that the settings name the default one, also of other processes."""

import os

from cnn_engine.runs.directory import RUNS_DIR
from cnn_tui.settings.load import load_settings


def set_default_runs_dir() -> None:
    """Set the default of this process and of those that it starts to the directory of the settings.

    A variable that names no directory is removed; the settings report it.
    """
    if directory := load_settings().values.run.runs_dir:
        os.environ[RUNS_DIR] = directory
    else:
        os.environ.pop(RUNS_DIR, None)


def set_runs_dir_of_loops() -> None:
    """Set the default for a user's own program, unless it has set one itself."""
    if directory := load_settings().values.run.runs_dir:
        os.environ.setdefault(RUNS_DIR, directory)
