"""Pictures of the most confident mistakes of the final test: `mistakes.json` in a run's directory.

The engine writes it; screens show it, and need neither the images nor PyTorch for that. A file of
JSON with the pixels in base64: whole or not there, bounded, and nothing in it is code.
"""

import base64
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from cnn_engine.errors import DataError
from cnn_engine.results.predictions import Predictions
from cnn_engine.runlog.events import TestFinished
from cnn_engine.runs.directory import RunDirectory
from cnn_engine.storage.json_files import Fields, read_object

FILE = "mistakes.json"
FORMAT = 1

LONGEST_SIDE = 64
"""Pixels; larger images are made smaller."""

MOST_OVERALL = 48
"""The most confident mistakes of all, however they spread over the classes."""

MOST_OF_A_PAIR = 6
"""And of each pair of true and predicted class."""

MOST_PICTURES = 600
MOST_PIXEL_BYTES = 2_000_000
"""What a viewer is to hold in memory: 600 pictures of 32×32, or 162 of 64×64."""

MOST_BYTES = 20_000_000
"""A file of more was not written by the engine."""


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """An image that the model took for something else."""

    name: str
    """Its file, below the folder of images, or its number."""

    truth: int
    """Its class."""

    predicted: int
    """What the model took it for."""

    confidence: float
    """How sure the model was, 0 to 1."""

    rank: int
    """Place of the true class among the model's answers, counted from 1."""

    pixels: bytes
    """uint8 [height, width, channels]."""

    width: int
    height: int
    channels: int
    """1 for grey, 3 for colour."""


def choose(predictions: Predictions, bytes_each: int) -> list[int]:
    """Indices of the images to keep pictures of, the most confident mistakes first.

    The most confident of all come first, then the most confident of every pair of classes, then
    the second of each, and so on, until there are enough.

    Args:
        predictions: Of all test images.
        bytes_each: What a picture takes.
    """
    mistakes = predictions.mistakes()
    seen: Counter[tuple[int, int]] = Counter()
    by_turns: list[tuple[int, int]] = []
    for index in mistakes[MOST_OVERALL:]:
        pair = predictions.truth[index], predictions.predicted[index]
        if seen[pair] < MOST_OF_A_PAIR:
            by_turns.append((seen[pair], index))
        seen[pair] += 1
    by_turns.sort(key=lambda turn: turn[0])  # stable: the more confident stays ahead
    room = min(MOST_PICTURES, MOST_PIXEL_BYTES // max(1, bytes_each))
    chosen = [*mistakes[:MOST_OVERALL], *(index for _, index in by_turns)][:room]
    return sorted(chosen, key=lambda index: -predictions.confidence[index])


def to_json(mistakes: Iterable[Mistake], test_epoch: int, fingerprint: str) -> bytes:
    """The file's content."""
    records = [
        vars(mistake) | {"pixels": base64.b64encode(mistake.pixels).decode()}
        for mistake in mistakes
    ]
    content = {
        "format": FORMAT,
        "epoch": test_epoch,
        "fingerprint": fingerprint,
        "mistakes": records,
    }
    return json.dumps(content, allow_nan=False, separators=(",", ":")).encode()


def read_mistakes(run: RunDirectory, test: TestFinished) -> list[Mistake]:
    """The pictures of the test that the run's log tells of, the most confident first.

    Raises:
        DataError: the file is missing, damaged, or of another test; what to do.
        ConfigError: a newer version of cnn-tui wrote it.
    """
    path, cure = run.path / FILE, f"to make it again: cnn-tui test {run.id}"
    try:
        fields = Fields(read_object(path, FORMAT, MOST_BYTES))
        epoch, fingerprint = fields.integer("epoch", 0, 2**63), fields.text("fingerprint")
        mistakes = [_mistake(Fields(item), len(test.total)) for item in fields.items("mistakes")]
        if len({(mistake.width, mistake.height) for mistake in mistakes}) > 1:
            raise ValueError("its pictures are not all of one size")
    except DataError as error:
        raise DataError(f"{error}; {cure}") from None
    except ValueError as error:
        raise DataError(f"{path}: is damaged: {error}; {cure}") from None
    is_of = epoch == test.epoch and test.fingerprint in ("", fingerprint)  # older logs have none
    if not is_of or not _are_counted(mistakes, test):
        raise DataError(f"{path}: is of another test than the run's log tells of; {cure}")
    return mistakes


def _mistake(fields: Fields, classes: int) -> Mistake:
    mistake = Mistake(
        name=fields.text("name"),
        truth=fields.integer("truth", 0, classes),
        predicted=fields.integer("predicted", 0, classes),
        confidence=fields.share("confidence"),
        rank=fields.integer("rank", 2, classes + 1),
        pixels=base64.b64decode(fields.text("pixels"), validate=True),
        width=fields.integer("width", 1, LONGEST_SIDE + 1),
        height=fields.integer("height", 1, LONGEST_SIDE + 1),
        channels=fields.integer("channels", 1, 4),
    )
    if len(mistake.pixels) != mistake.width * mistake.height * mistake.channels:
        raise ValueError("a picture's pixels are not as many as its sides tell")
    if mistake.channels == 2:
        raise ValueError("a picture is neither grey nor in colour")
    return mistake


def _are_counted(mistakes: list[Mistake], test: TestFinished) -> bool:
    """Whether the test counted at least as many of each pair."""
    counted = {(truth, predicted): count for truth, predicted, count in test.confusion}
    pairs = Counter((mistake.truth, mistake.predicted) for mistake in mistakes)
    return all(count <= counted.get(pair, 0) for pair, count in pairs.items())
