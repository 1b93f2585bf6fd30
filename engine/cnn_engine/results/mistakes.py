"""Images of the most confident mistakes of the final test: `mistakes.json` in a run's directory.

The training process writes the file atomically; screens show it without the data set and without
PyTorch. It is JSON of limited size, with pixels in base64.
"""

import json
from collections import Counter
from collections.abc import Iterable
from typing import Annotated

import msgspec
from msgspec import Meta

from cnn_engine.errors import DataError
from cnn_engine.results.pictures import MAX_BYTES, SavedPicture, check_one_size, max_pictures
from cnn_engine.results.predictions import Predictions
from cnn_engine.runlog.events import TestFinished
from cnn_engine.runs.directory import RunDirectory
from cnn_engine.runs.hints import command_for
from cnn_engine.storage.json_files import Count, Probability, read_json

MISTAKES_FILE = "mistakes.json"
FORMAT = 1

MAX_OVERALL = 48
"""Most confident mistakes saved, regardless of their classes."""

MAX_PER_PAIR = 6
"""Further mistakes saved for each pair of true and predicted class."""

MAX_IMAGES = 600
"""Mistakes saved, fewer if they are large; see `max_pictures`."""


class Mistake(SavedPicture, frozen=True, kw_only=True, rename={"target": "truth"}):
    """A misclassified image; its heatmap is of the predicted class."""

    name: str
    """File path below the folder of images, or the image's number."""

    target: Count
    """Index of the true class."""

    predicted: Count
    """Index of the predicted class."""

    confidence: Probability
    """Probability of the predicted class, 0 to 1."""

    rank: Annotated[int, Meta(ge=2)]
    """Rank of the true class by logit; 1 would be the predicted class."""


class _File(msgspec.Struct, kw_only=True):
    """Content of `mistakes.json`."""

    format: int
    epoch: Count
    fingerprint: str
    mistakes: list[Mistake]

    def __post_init__(self) -> None:
        check_one_size(self.mistakes)


def select_mistakes(predictions: Predictions, image_bytes: int) -> list[int]:
    """Return the indices of the mistakes to save, the most confident first.

    The most confident mistakes overall are taken first, then the most confident one of each pair of
    classes, then the second of each pair, and so on, up to the limits of this module.

    Args:
        predictions: Predictions for all test images.
        image_bytes: Bytes of one image.
    """
    mistakes = predictions.mistakes()
    seen: Counter[tuple[int, int]] = Counter()
    by_turn: list[tuple[int, int]] = []
    for index in mistakes[MAX_OVERALL:]:
        pair = predictions.target[index], predictions.predicted[index]
        if seen[pair] < MAX_PER_PAIR:
            by_turn.append((seen[pair], index))
        seen[pair] += 1
    by_turn.sort(key=lambda turn: turn[0])  # stable: the more confident mistake stays ahead
    selected = [*mistakes[:MAX_OVERALL], *(index for _, index in by_turn)]
    selected = selected[: max_pictures(image_bytes, MAX_IMAGES)]
    return sorted(selected, key=lambda index: -predictions.confidence[index])


def encode_mistakes(mistakes: Iterable[Mistake], test_epoch: int, fingerprint: str) -> bytes:
    """Return the content of `mistakes.json`."""
    content = _File(
        format=FORMAT, epoch=test_epoch, fingerprint=fingerprint, mistakes=list(mistakes)
    )
    values = msgspec.to_builtins(content)
    return json.dumps(values, allow_nan=False, separators=(",", ":")).encode()


def read_mistakes(run: RunDirectory, test: TestFinished) -> list[Mistake]:
    """Read the mistakes of the test recorded in the run's log, the most confident first.

    Raises:
        DataError: the file is missing, damaged, or of another test; says how to recreate it.
        ConfigError: a newer version of cnn-tui wrote it.
    """
    path, fix = run.path / MISTAKES_FILE, f"recreate it with: {command_for('test', run)}"
    try:
        file = read_json(path, _File, format_=FORMAT, max_bytes=MAX_BYTES)
    except DataError as error:
        raise DataError(f"{error}; {fix}") from None
    # Older logs have no fingerprint.
    is_same_test = file.epoch == test.epoch and test.fingerprint in ("", file.fingerprint)
    if not is_same_test or not _are_counted(file.mistakes, test):
        raise DataError(f"{path}: belongs to another test than the one in the run's log; {fix}")
    return file.mistakes


def _are_counted(mistakes: list[Mistake], test: TestFinished) -> bool:
    """Return True if the test counts at least as many mistakes of each pair of classes."""
    counted = {(target, predicted): count for target, predicted, count in test.confusion}
    pairs = Counter((mistake.target, mistake.predicted) for mistake in mistakes)
    classes = len(test.total)
    return all(mistake.rank <= classes for mistake in mistakes) and all(
        count <= counted.get(pair, 0) for pair, count in pairs.items()
    )
