"""Predictions of the best model for every image: `test.json` and `validation.json` of a run.

The training process writes them after the final test, and for the best validation. To stay small
they have one list per field, in the order of the images.
"""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from cnn_engine.errors import DataError
from cnn_engine.results.counted_epoch import UNKNOWN_VALIDATION, counted_epoch, has_confusion
from cnn_engine.runlog.events import Confusion, EpochFinished, TestFinished
from cnn_engine.runlog.state import RunState
from cnn_engine.runs.directory import RunDirectory
from cnn_engine.runs.hints import command_for
from cnn_engine.storage.json_files import Count, Probability, damaged, read_json

PREDICTIONS_FILE = "test.json"
VALIDATION_FILE = "validation.json"
FORMAT = 1
MAX_BYTES = 256_000_000
"""Enough for about four million images."""

CONFIDENCE_DIGITS = 6
"""Decimal places of the confidences in the file."""


class Prediction(NamedTuple):
    """Prediction for one image."""

    name: str
    """File path below the folder of images, or the image's number."""

    target: int
    """Index of the true class."""

    predicted: int
    """Index of the predicted class."""

    confidence: float
    """Probability of the predicted class, 0 to 1."""

    rank: int
    """Rank of the true class by logit; 1 if it is the predicted class."""


class Predictions(msgspec.Struct, frozen=True, kw_only=True, rename={"target": "truth"}):
    """Predictions for all images of a part; the lists have one length and the images' order.

    Raises:
        ValueError: the lists differ in length.
    """

    epoch: Count
    """Epoch of the weights."""

    fingerprint: str
    """Digest of the images: of a test as in `TestFinished`, of a validation that of the data set
    and its split."""

    names: list[str]
    target: list[Count]
    predicted: list[Count]
    confidence: list[Probability]
    rank: list[Count]

    target_confidence: list[Probability] = []  # msgspec copies it
    """Probability of the true class; empty in older files."""

    def __post_init__(self) -> None:
        columns = (self.names, self.target, self.predicted, self.confidence, self.rank)
        lengths = {len(column) for column in columns}
        if self.target_confidence:
            lengths.add(len(self.target_confidence))
        if len(lengths) > 1:
            raise ValueError("its lists differ in length")

    @property
    def is_correct(self) -> list[bool]:
        """True for each image whose predicted class is the true one."""
        return [
            target == predicted
            for target, predicted in zip(self.target, self.predicted, strict=True)
        ]

    def mistakes(self) -> list[int]:
        """Return the indices of the misclassified images, the most confident first."""
        wrong = [index for index, is_correct in enumerate(self.is_correct) if not is_correct]
        return sorted(wrong, key=lambda index: -self.confidence[index])

    def __getitem__(self, index: int) -> Prediction:
        columns = (self.names, self.target, self.predicted, self.confidence, self.rank)
        return Prediction(*(column[index] for column in columns))  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[Prediction]:
        return map(self.__getitem__, range(len(self.names)))

    def to_json(self) -> bytes:
        """Return the content of a file."""
        values = msgspec.to_builtins(self) | {"format": FORMAT}
        for name in ("confidence", "target_confidence"):
            values[name] = [round(value, CONFIDENCE_DIGITS) for value in values[name]]
        return json.dumps(values, allow_nan=False, separators=(",", ":")).encode()


def read_predictions(run: RunDirectory, test: TestFinished) -> Predictions:
    """Read the predictions of the test recorded in the run's log.

    Raises:
        DataError: the file is missing, damaged, or of another test; says how to recreate it.
        ConfigError: a newer version of cnn-tui wrote it.
    """
    path, fix = run.path / PREDICTIONS_FILE, f"recreate it with: {command_for('test', run)}"
    predictions = _read(path, len(test.total), fix)
    is_same_test = test.fingerprint in ("", predictions.fingerprint)  # older logs have none
    if not is_same_test or not _belongs_to(predictions, test):
        raise DataError(f"{path}: belongs to another test than the one in the run's log; {fix}")
    return predictions


def read_validation_predictions(run: RunDirectory, state: RunState) -> Predictions:
    """Read the predictions for the validation images; `epoch` names the validation in the log.

    It is the best one, or, until the file is written again, the best one before.

    Raises:
        DataError: the file is missing, damaged, or of a validation that the log does not have.
        ConfigError: a newer version of cnn-tui wrote it.
    """
    path = run.path / VALIDATION_FILE
    predictions = _read(path, len(state.classes), "training writes it for the best validation")
    epoch = counted_epoch(state, predictions.epoch)
    if epoch is None or not _belongs_to(predictions, epoch):
        raise DataError(f"{path}: {UNKNOWN_VALIDATION}")
    return predictions


def _read(path: Path, classes: int, fix: str) -> Predictions:
    """Read and check a file; errors end with `fix`."""
    try:
        predictions = read_json(path, Predictions, format_=FORMAT, max_bytes=MAX_BYTES)
        _check_classes(predictions, classes)
    except DataError as error:
        raise DataError(f"{error}; {fix}") from None
    except ValueError as error:
        raise DataError(f"{damaged(path, error)}; {fix}") from None
    return predictions


def _check_classes(predictions: Predictions, classes: int) -> None:
    """Raise ValueError if an index or a rank does not fit the number of classes."""
    columns = (("truth", predictions.target, 0), ("predicted", predictions.predicted, 0))
    for name, values, first in (*columns, ("rank", predictions.rank, 1)):
        allowed = range(first, first + classes)
        for value in values:
            if value not in allowed:
                raise ValueError(f"{name}: {value} is not in {first} to {first + classes - 1}")


def _belongs_to(predictions: Predictions, counts: TestFinished | EpochFinished) -> bool:
    """Return True if the predictions add up to the counts of a test or of a validation."""
    pairs = Counter(zip(predictions.target, predictions.predicted, strict=True))
    classes = range(len(counts.total))
    total = Counter(predictions.target)
    return (
        predictions.epoch == counts.epoch
        and counts.total == tuple(total[label] for label in classes)
        and counts.correct == tuple(pairs[label, label] for label in classes)
        and (counts.confusion == _confusion(pairs) or not has_confusion(counts))
    )


def _confusion(pairs: Counter[tuple[int, int]]) -> Confusion:
    wrong = sorted((pair, count) for pair, count in pairs.items() if pair[0] != pair[1])
    return tuple((target, predicted, count) for (target, predicted), count in wrong)
