"""Misclassified images as CSV."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from cnn_engine.errors import ConfigError, StorageError
from cnn_engine.results.mistakes import Mistake
from cnn_engine.results.predictions import Prediction, read_predictions
from cnn_engine.runlog.state import RunState
from cnn_engine.runs.directory import RunDirectory
from cnn_engine.storage.atomic import write_atomically
from cnn_tui.text.other_loops import missing_text
from cnn_tui.text.safe import csv_cell

COLUMNS = ("path", "true", "predicted", "confidence", "rank")

MAX_CELL = 4_096
"""Maximum characters of a path or class name: the longest path of common file systems."""


def write_mistakes(run: RunDirectory, state: RunState, path: Path) -> int:
    """Write all misclassified images, most confident first, and return their number.

    Args:
        run: Run directory with the predictions of the final test.
        state: State of the same run.
        path: CSV file to write; an existing one is replaced.

    Raises:
        ConfigError: the run has not been tested yet, or cnn-tui does not train it.
        DataError: the predictions are missing, damaged, or of another test.
        StorageError: the file cannot be written.
    """
    if reason := missing_text(state, "list of mistakes"):
        raise ConfigError(f"run {run.id}: {reason}")
    if state.test is None or state.prepared is None:
        raise ConfigError(f"run {run.id}: has not been tested yet; the test runs after training")
    predictions = read_predictions(run, state.test)
    mistakes = [predictions[index] for index in predictions.mistakes()]
    return write_list(mistakes, state.prepared.classes, path)


def write_list(mistakes: Sequence[Mistake | Prediction], classes: Sequence[str], path: Path) -> int:
    """Write mistakes in the given order, and return their number.

    Args:
        mistakes: The mistakes.
        classes: Names of all classes.
        path: CSV file to write; an existing one is replaced.

    Raises:
        StorageError: the file cannot be written.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for mistake in mistakes:
        names = mistake.name, classes[mistake.target], classes[mistake.predicted]
        cells = (csv_cell(name, MAX_CELL) for name in names)
        writer.writerow([*cells, f"{mistake.confidence:.6f}", mistake.rank])
    try:
        write_atomically(path, text.getvalue().encode())
    except OSError as error:
        raise StorageError(f"{path}: cannot be written: {error.strerror}") from None
    return len(mistakes)
