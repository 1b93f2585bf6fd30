"""Predictions of the best model for every test image: `test.json` in a run's directory.

The training process writes it after the final test; `compare` and lists of mistakes read it. To
stay small it has one list per field, in the order of the test images.
"""

import json
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from cnn_engine.errors import DataError
from cnn_engine.runlog.events import Confusion, TestFinished
from cnn_engine.runs.directory import RunDirectory
from cnn_engine.runs.hints import command_for
from cnn_engine.storage.json_files import Count, Probability, damaged, read_json

PREDICTIONS_FILE = "test.json"
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
    """Predictions for all test images; the lists have one length and the order of the images.

    Raises:
        ValueError: the lists differ in length.
    """

    epoch: Count
    """Epoch of the weights."""

    fingerprint: str
    """Digest of the test images, as in `TestFinished`."""

    names: list[str]
    target: list[Count]
    predicted: list[Count]
    confidence: list[Probability]
    rank: list[Count]

    def __post_init__(self) -> None:
        columns = (self.names, self.target, self.predicted, self.confidence, self.rank)
        if len({len(column) for column in columns}) > 1:
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
        """Return the content of `test.json`."""
        values = msgspec.to_builtins(self) | {
            "format": FORMAT,
            "confidence": [round(value, CONFIDENCE_DIGITS) for value in self.confidence],
        }
        return json.dumps(values, allow_nan=False, separators=(",", ":")).encode()


def read_predictions(run: RunDirectory, test: TestFinished) -> Predictions:
    """Read the predictions of the test recorded in the run's log.

    Raises:
        DataError: the file is missing, damaged, or of another test; says how to recreate it.
        ConfigError: a newer version of cnn-tui wrote it.
    """
    path, fix = run.path / PREDICTIONS_FILE, f"recreate it with: {command_for('test', run)}"
    try:
        predictions = read_json(path, Predictions, format_=FORMAT, max_bytes=MAX_BYTES)
        _check_classes(predictions, len(test.total))
    except DataError as error:
        raise DataError(f"{error}; {fix}") from None
    except ValueError as error:
        raise DataError(f"{damaged(path, error)}; {fix}") from None
    if not _belongs_to(predictions, test):
        raise DataError(f"{path}: belongs to another test than the one in the run's log; {fix}")
    return predictions


def _check_classes(predictions: Predictions, classes: int) -> None:
    """Raise ValueError if an index or a rank does not fit the number of classes."""
    columns = (("truth", predictions.target, 0), ("predicted", predictions.predicted, 0))
    for name, values, first in (*columns, ("rank", predictions.rank, 1)):
        allowed = range(first, first + classes)
        for value in values:
            if value not in allowed:
                raise ValueError(f"{name}: {value} is not in {first} to {first + classes - 1}")


def _belongs_to(predictions: Predictions, test: TestFinished) -> bool:
    """Return True if the predictions add up to the counts of the test."""
    pairs = Counter(zip(predictions.target, predictions.predicted, strict=True))
    classes = range(len(test.total))
    total = Counter(predictions.target)
    return (
        test.fingerprint in ("", predictions.fingerprint)  # older logs have none
        and predictions.epoch == test.epoch
        and test.total == tuple(total[label] for label in classes)
        and test.correct == tuple(pairs[label, label] for label in classes)
        and test.confusion == _confusion(pairs)
    )


def _confusion(pairs: Counter[tuple[int, int]]) -> Confusion:
    wrong = sorted((pair, count) for pair, count in pairs.items() if pair[0] != pair[1])
    return tuple((target, predicted, count) for (target, predicted), count in wrong)
