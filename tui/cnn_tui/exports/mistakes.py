"""The mistakes of a run's final test as CSV."""

import csv
import io
from pathlib import Path

from cnn_engine.errors import ConfigError, StorageError
from cnn_engine.results.predictions import Predictions, read_predictions
from cnn_engine.runlog.events import RunPrepared
from cnn_engine.runlog.state import RunState
from cnn_engine.runs.directory import RunDirectory
from cnn_engine.storage.atomic import write_atomically
from cnn_tui.text.safe import csv_cell

COLUMNS = ("path", "true", "predicted", "confidence", "rank")

MAX_CELL = 4_096
"""Characters of a path or a class's name; no file system has longer ones."""


def write_mistakes(run: RunDirectory, state: RunState, path: Path) -> int:
    """Write all mistakes, the most confident first; how many.

    Args:
        run: Where the predictions are.
        state: What its log tells.
        path: File to write; one that is there is replaced.

    Raises:
        ConfigError: the run has not been tested yet.
        DataError: its predictions are missing, damaged, or of another test.
        StorageError: the file cannot be written.
    """
    if state.test is None or state.prepared is None:
        raise ConfigError(f"run {run.id}: has not been tested yet; that is done once it is trained")
    predictions = read_predictions(run, state.test)
    try:
        write_atomically(path, _as_csv(predictions, state.prepared).encode())
    except OSError as error:
        raise StorageError(f"{path}: cannot be written: {error.strerror}") from None
    return len(predictions.mistakes())


def _as_csv(predictions: Predictions, prepared: RunPrepared) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for index in predictions.mistakes():
        said = predictions[index]
        names = (said.name, prepared.classes[said.truth], prepared.classes[said.predicted])
        cells = (csv_cell(name, MAX_CELL) for name in names)
        writer.writerow([*cells, f"{said.confidence:.6f}", said.rank])
    return text.getvalue()
