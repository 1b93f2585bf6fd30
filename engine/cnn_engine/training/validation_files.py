"""Writes the predictions and the mistakes of validations while a run trains."""

import math
import time
from collections.abc import Callable
from typing import NamedTuple

from cnn_engine.checkpoints.writer import Writer
from cnn_engine.data.dataset import DataSet
from cnn_engine.errors import StorageError, UserError
from cnn_engine.evaluation.evaluate import Evaluation, ImagePredictions
from cnn_engine.evaluation.report import named_predictions, pictured_mistakes, write_result
from cnn_engine.results.mistakes import (
    MAX_VALIDATION_IMAGES,
    VALIDATION_MISTAKES_FILE,
    encode_mistakes,
)
from cnn_engine.results.predictions import VALIDATION_FILE, read_validation_predictions
from cnn_engine.runlog.state import RunState
from cnn_engine.runs.directory import RunDirectory

MIN_PAUSE = 100
"""Time between two writes of a file relative to the duration of the first: one percent at most."""

ADVICE = "Training tries again"


class _Validation(NamedTuple):
    epoch: int
    loss: float
    found: ImagePredictions


class _RareFile:
    """A file that is written for some validations only, so that it takes little of the time."""

    def __init__(self, write: Callable[[_Validation], None], writer: Writer) -> None:
        """Write validations by `write`, which may raise `StorageError`, in `writer`."""
        self._write, self._writer = write, writer
        self._due_at = 0.0
        self.pending: _Validation | None = None
        """Validation that is not written yet."""

    def write_if_due(self, failed: Callable[[StorageError], None]) -> None:
        """Write the pending validation if the last write is long enough ago."""
        if time.monotonic() >= self._due_at:
            self.write(failed)

    def write(self, failed: Callable[[StorageError], None]) -> None:
        """Write the pending validation; on failure it is pending again if there is no later one."""
        validation, self.pending = self.pending, None
        if validation is None:
            return
        self._due_at = math.inf

        def job() -> None:
            start = time.monotonic()
            try:
                self._write(validation)
            finally:
                end = time.monotonic()
                self._due_at = end + MIN_PAUSE * (end - start)

        def not_written(error: StorageError) -> None:
            self.pending = self.pending or validation
            failed(error)

        self._writer.write(job, lambda: None, not_written)


class ValidationFiles:
    """Writes `validation.json` and `validation_mistakes.json` of a run."""

    def __init__(  # noqa: PLR0913, PLR0917 - images, output and warnings
        self,
        data: DataSet,
        fingerprint: str,
        run: RunDirectory,
        writer: Writer,
        check: Callable[[], None],
        warn: Callable[[str], None],
    ) -> None:
        """Write into the directory of `run`.

        Args:
            data: The images.
            fingerprint: Their `fingerprint()`.
            run: The run.
            writer: Writes the files, at once or in the background.
            check: Called before a file is written; raises StorageError if none may be.
            warn: Called with a text if a file cannot be written.
        """
        self._data, self._fingerprint, self._run = data, fingerprint, run
        self._check, self._warn = check, warn
        self._best = _RareFile(self._write_predictions, writer)
        self._latest = _RareFile(self._write_mistakes, writer)

    def add(self, epoch: int, validation: Evaluation, *, is_best: bool) -> None:
        """Write the results of a validation that the log has, now or later."""
        added = _Validation(epoch, validation.loss, validation.predictions)
        self._latest.pending = added
        if is_best:
            self._best.pending = added
        for file in (self._best, self._latest):
            file.write_if_due(self._failed)

    def add_best(self, epoch: int, validation: Evaluation) -> None:
        """Write the predictions of the best epoch at once."""
        self._best.pending = _Validation(epoch, validation.loss, validation.predictions)
        self._best.write(self._failed)

    def has_predictions(self, state: RunState, epoch: int) -> bool:
        """Return True if the predictions of an epoch of the run's log are written."""
        try:
            return read_validation_predictions(self._run, state).epoch == epoch
        except UserError:
            return False

    def undo(self, epoch: int) -> None:
        """Forget results that are not written yet of an epoch and later ones."""
        for file in (self._best, self._latest):
            if file.pending is not None and file.pending.epoch >= epoch:
                file.pending = None

    def flush(self) -> None:
        """Write what is not written yet."""
        for file in (self._best, self._latest):
            file.write(self._failed)

    def _failed(self, error: StorageError) -> None:
        self._warn(str(error))

    def _write_predictions(self, validation: _Validation) -> None:
        self._check()
        content = named_predictions(
            self._data, self._data.val, validation.found, validation.epoch, self._fingerprint
        ).to_json()
        write_result(self._run.path / VALIDATION_FILE, content, ADVICE)

    def _write_mistakes(self, validation: _Validation) -> None:
        self._check()
        epoch, loss, found = validation
        data, indices, fingerprint = self._data, self._data.val, self._fingerprint
        predicted = named_predictions(data, indices, found, epoch, fingerprint)
        mistakes = pictured_mistakes(data, indices, predicted, MAX_VALIDATION_IMAGES)
        known_loss = loss if math.isfinite(loss) else None
        content = encode_mistakes(mistakes, epoch, fingerprint, known_loss)
        write_result(self._run.path / VALIDATION_MISTAKES_FILE, content, ADVICE)
