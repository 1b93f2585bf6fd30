"""Images of the most confident mistakes: `mistakes.json` and `validation_mistakes.json` of a run.

They are those of the final test and of the latest validation. The training process writes the files
atomically; screens show them without the data set and without PyTorch. They are JSON of limited
size, with pixels in base64.
"""

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta

from cnn_engine.errors import DataError
from cnn_engine.results.counted_epoch import UNKNOWN_VALIDATION, counted_epoch, has_confusion
from cnn_engine.results.pictures import MAX_BYTES, SavedPicture, check_one_size, max_pictures
from cnn_engine.results.predictions import Predictions
from cnn_engine.runlog.events import EpochFinished, TestFinished
from cnn_engine.runlog.state import RunState
from cnn_engine.runs.directory import RunDirectory
from cnn_engine.runs.hints import command_for
from cnn_engine.storage.json_files import Count, Probability, read_json

MISTAKES_FILE = "mistakes.json"
VALIDATION_MISTAKES_FILE = "validation_mistakes.json"
FORMAT = 1

MAX_OVERALL = 48
"""Most confident mistakes saved, regardless of their classes."""

MAX_PER_PAIR = 6
"""Further mistakes saved for each pair of true and predicted class."""

MAX_IMAGES = 600
"""Mistakes saved, fewer if they are large; see `max_pictures`."""

MAX_VALIDATION_IMAGES = 150
"""Fewer of a validation, as they are written often."""


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


class ValidationMistakes(NamedTuple):
    """Mistakes of a validation, the most confident first."""

    epoch: int
    """Epoch of the validation."""

    mistakes: list[Mistake]


class _File(msgspec.Struct, kw_only=True):
    """Content of a file."""

    format: int
    epoch: Count
    fingerprint: str
    mistakes: list[Mistake]

    loss: float | None = None
    """Mean loss of a validation, which tells it from another one of the same epoch."""

    def __post_init__(self) -> None:
        check_one_size(self.mistakes)


def select_mistakes(
    predictions: Predictions, image_bytes: int, limit: int = MAX_IMAGES
) -> list[int]:
    """Return the indices of the mistakes to save, the most confident first.

    The most confident mistakes overall are taken first, then the most confident one of each pair of
    classes, then the second of each pair, and so on, up to the limits of this module.

    Args:
        predictions: Predictions for all images.
        image_bytes: Bytes of one image.
        limit: Maximum number of mistakes.
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
    selected = selected[: max_pictures(image_bytes, limit)]
    return sorted(selected, key=lambda index: -predictions.confidence[index])


def encode_mistakes(
    mistakes: Iterable[Mistake], epoch: int, fingerprint: str, loss: float | None = None
) -> bytes:
    """Return the content of a file.

    Args:
        mistakes: The most confident first.
        epoch: Epoch of the weights.
        fingerprint: Digest of the images, as in `Predictions`.
        loss: Mean loss of a validation, if it is finite; None for a test.
    """
    content = _File(
        format=FORMAT, epoch=epoch, fingerprint=fingerprint, mistakes=list(mistakes), loss=loss
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
    file = _read(path, fix)
    # Older logs have no fingerprint.
    is_same_test = file.epoch == test.epoch and test.fingerprint in ("", file.fingerprint)
    if not is_same_test or not _are_counted(file.mistakes, test):
        raise DataError(f"{path}: belongs to another test than the one in the run's log; {fix}")
    return file.mistakes


def read_validation_mistakes(run: RunDirectory, state: RunState) -> ValidationMistakes:
    """Read the mistakes of the latest validation for which they were written.

    Raises:
        DataError: the file is missing, damaged, or of a validation that the log does not have.
        ConfigError: a newer version of cnn-tui wrote it.
    """
    path = run.path / VALIDATION_MISTAKES_FILE
    file = _read(path, "training writes it after a validation")
    epoch = counted_epoch(state, file.epoch)
    if epoch is None or file.loss not in (None, epoch.val_loss):
        raise DataError(f"{path}: {UNKNOWN_VALIDATION}")
    if not _are_counted(file.mistakes, epoch):
        raise DataError(f"{path}: {UNKNOWN_VALIDATION}")
    return ValidationMistakes(file.epoch, file.mistakes)


def _read(path: Path, fix: str) -> _File:
    """Read a file; errors end with `fix`."""
    try:
        return read_json(path, _File, format_=FORMAT, max_bytes=MAX_BYTES)
    except DataError as error:
        raise DataError(f"{error}; {fix}") from None


def _are_counted(mistakes: list[Mistake], counts: TestFinished | EpochFinished) -> bool:
    """Return True if a test or validation counts at least as many mistakes of each pair.

    Without its confusion the mistakes of each class are compared.
    """
    classes = len(counts.total)
    if any(max(each.rank, each.target + 1, each.predicted + 1) > classes for each in mistakes):
        return False
    found: Counter[tuple[int, ...]]
    counted: dict[tuple[int, ...], int]
    if has_confusion(counts):
        found = Counter((mistake.target, mistake.predicted) for mistake in mistakes)
        counted = {(target, predicted): count for target, predicted, count in counts.confusion}
    else:
        found = Counter((mistake.target,) for mistake in mistakes)
        both = zip(counts.total, counts.correct, strict=False)
        counted = {(label,): images - correct for label, (images, correct) in enumerate(both)}
    return all(count <= counted.get(key, 0) for key, count in found.items())
