"""Directories of TensorBoard event files, grouped by run.

TensorBoard shows each directory as a run of its own. Programs make several for one training:
Keras writes into `train` and `validation`, TensorFlow's estimators into `eval` below the run's
directory, PyTorch's `add_scalars` into a directory for each of the values, and `add_hparams` into
one that holds hyperparameters and final results only, and is left out. An export of a run has the
directories `train`, `val`, `test` and `series`.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator
from itertools import islice
from pathlib import Path

from cnn_engine.runlog.roles import SPLITS, words_of
from cnn_engine.storage.tfevents_reader import (
    DamagedFileError,
    LoggedEvent,
    RecordReader,
    read_event,
)

PATTERN = "*tfevents*"
"""TensorBoard reads files whose names contain this."""

SERIES = "series"
"""Directory of an export of a run, beside `train` and `val`, with the other series."""

FIRST_EVENTS = 5
"""Number of events at the start of a file that show which program wrote it."""

MAX_HPARAMS_EVENTS = 200
"""Maximum number of events that are searched for more than the final results."""


def runs_below(directory: Path) -> list[Path]:
    """Return the directories of the runs in and below a directory.

    Raises:
        OSError: a file cannot be read at the moment.
    """
    return sorted(_folders_by_run(directory))


def folders_of_run(run: Path) -> set[Path]:
    """Return the directories with the event files of the run that this directory is of.

    Raises:
        OSError: a file cannot be read at the moment.
    """
    return _folders_by_run(run).get(run, set())


def hparams_below(run: Path, others: Collection[Path]) -> dict[str, float | str | bool]:
    """Return the hyperparameters in directories that `add_hparams` made below that of a run.

    Args:
        run: Directory of the run.
        others: Directories of other runs below it.

    Raises:
        OSError: a file cannot be read at the moment.
    """
    found: dict[str, float | str | bool] = {}
    for folder in sorted({file.parent for file in run.rglob(PATTERN) if file.is_file()} - {run}):
        if not any(folder.is_relative_to(other) for other in others) and _holds_hparams(folder):
            for event in _first_events(folder, FIRST_EVENTS):
                found |= event.hparams or {}
    return found


def _folders_by_run(top: Path) -> dict[Path, set[Path]]:
    """Return the directories with event files by the directory of the run they belong to."""
    folders = {file.parent for file in top.rglob(PATTERN) if file.is_file()}
    folders = {folder for folder in folders if not _holds_hparams(folder)} or folders
    parts = _parts(folders)
    by_run = defaultdict[Path, set[Path]](set)
    for folder in folders:
        run = folder
        while run != top and run in parts:
            run = run.parent
        by_run[run].add(folder)
    return by_run


def _parts(folders: set[Path]) -> set[Path]:
    """Return the directories that belong to the run of the directory above."""
    parts = {folder for folder in folders if _is_of_add_scalars(folder)}
    beside = defaultdict[Path, set[Path]](set)
    for folder in folders - parts:
        beside[folder.parent].add(folder)
    for above, siblings in beside.items():
        named = {folder for folder in siblings if SPLITS.intersection(words_of(folder.name))}
        # `resnet_train` beside `vgg_val` are runs of their own.
        experiments = {_without_split(folder.name) for folder in named}
        of_exports = {folder for folder in siblings if folder.name == SERIES}
        if above in folders or (named and named | of_exports == siblings and len(experiments) == 1):
            parts |= named | of_exports
    return parts


def _without_split(name: str) -> tuple[str, ...]:
    return tuple(word for word in words_of(name) if word not in SPLITS)


def _is_of_add_scalars(folder: Path) -> bool:
    """Return True if the directory is named by a tag in it and a key, as `add_scalars` does."""
    tags = (tag for event in _first_events(folder, FIRST_EVENTS) for tag, _ in event.scalars)
    return any(folder.name.startswith(tag.replace("/", "_") + "_") for tag in tags)


def _holds_hparams(folder: Path) -> bool:
    """Return True if the directory holds hyperparameters and at most one value of each tag."""
    if not any(event.hparams is not None for event in _first_events(folder, FIRST_EVENTS)):
        return False
    events = _first_events(folder, MAX_HPARAMS_EVENTS)
    tags = [tag for event in events for tag, _ in event.scalars]
    return len(tags) == len(set(tags))


def _first_events(folder: Path, count: int) -> Iterator[LoggedEvent]:
    """Yield the first events of each file in a directory."""
    for path in sorted(folder.glob(PATTERN)):
        if not path.is_file():
            continue
        with path.open("rb") as file:
            try:
                yield from map(read_event, islice(RecordReader().poll(file), count))
            except DamagedFileError:
                continue
