"""What the best model said of each test image: `test.json` in a run's directory.

The engine writes it with the final test; `compare` and lists of mistakes are made from it. It has
one list a field, all in the order of the test images, so that it stays small.
"""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from cnn_engine.errors import DataError
from cnn_engine.runlog.events import Confusion, TestFinished
from cnn_engine.runs.directory import RunDirectory
from cnn_engine.storage.json_files import Fields, read_object

FILE = "test.json"
FORMAT = 1
MOST_BYTES = 256_000_000
"""Some four million images."""

CONFIDENCE_DIGITS = 6


class Prediction(NamedTuple):
    """What the model said of one image."""

    name: str
    """Its file, below the folder of images, or its number."""

    truth: int
    """Its class."""

    predicted: int
    """What the model finds likeliest."""

    confidence: float
    """Probability that the model gives to that, 0 to 1."""

    rank: int
    """Place of the true class among the model's answers, counted from 1."""


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """What the model said of all test images; lists of one length, in the images' order."""

    epoch: int
    """Epoch that the weights are from."""

    fingerprint: str
    """Tells the test images from others, as `TestFinished` does."""

    names: list[str]
    truth: list[int]
    predicted: list[int]
    confidence: list[float]
    rank: list[int]

    @property
    def is_right(self) -> list[bool]:
        """Whether each image is classified right."""
        return [truth == said for truth, said in zip(self.truth, self.predicted, strict=True)]

    def mistakes(self) -> list[int]:
        """Indices of the images classified wrong, the most confident first."""
        wrong = [index for index, right in enumerate(self.is_right) if not right]
        return sorted(wrong, key=lambda index: -self.confidence[index])

    def __getitem__(self, index: int) -> Prediction:
        columns = (self.names, self.truth, self.predicted, self.confidence, self.rank)
        return Prediction(*(column[index] for column in columns))  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[Prediction]:
        return map(self.__getitem__, range(len(self.names)))

    def to_json(self) -> bytes:
        """The file's content."""
        values = vars(self) | {
            "format": FORMAT,
            "confidence": [round(share, CONFIDENCE_DIGITS) for share in self.confidence],
        }
        return json.dumps(values, allow_nan=False, separators=(",", ":")).encode()


def read_predictions(run: RunDirectory, test: TestFinished) -> Predictions:
    """What the model said in the test that the run's log tells of.

    Raises:
        DataError: the file is missing, damaged, or of another test; what to do.
        ConfigError: a newer version of cnn-tui wrote it.
    """
    path, cure = run.path / FILE, f"to make it again: cnn-tui test {run.id}"
    try:
        content = read_object(path, FORMAT, MOST_BYTES)
        predictions = _checked(Fields(content), len(test.total))
    except DataError as error:
        raise DataError(f"{error}; {cure}") from None
    except ValueError as error:
        raise DataError(f"{path}: is damaged: {error}; {cure}") from None
    if not _is_of(predictions, test):
        raise DataError(f"{path}: is of another test than the run's log tells of; {cure}")
    return predictions


def _checked(fields: Fields, classes: int) -> Predictions:
    predictions = Predictions(
        epoch=fields.integer("epoch", 0, 2**63),
        fingerprint=fields.text("fingerprint"),
        names=fields.texts("names"),
        truth=fields.integers("truth", 0, classes),
        predicted=fields.integers("predicted", 0, classes),
        confidence=fields.shares("confidence"),
        rank=fields.integers("rank", 1, classes + 1),
    )
    lengths = {len(column) for column in vars(predictions).values() if isinstance(column, list)}
    if len(lengths) != 1:
        raise ValueError("its lists are of different lengths")
    return predictions


def _is_of(predictions: Predictions, test: TestFinished) -> bool:
    """Whether they come to the very counts of the test."""
    pairs = Counter(zip(predictions.truth, predictions.predicted, strict=True))
    classes = range(len(test.total))
    total = Counter(predictions.truth)
    return (
        test.fingerprint in ("", predictions.fingerprint)  # older logs have none
        and predictions.epoch == test.epoch
        and test.total == tuple(total[of] for of in classes)
        and test.correct == tuple(pairs[of, of] for of in classes)
        and test.confusion == _confusion(pairs)
    )


def _confusion(pairs: Counter[tuple[int, int]]) -> Confusion:
    wrong = sorted((pair, count) for pair, count in pairs.items() if pair[0] != pair[1])
    return tuple((truth, predicted, count) for (truth, predicted), count in wrong)
