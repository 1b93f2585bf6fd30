"""Training images with suspicious labels: `suspects.json` in a run's directory.

The training process writes it at the end of a run, and `cnn-tui data suspects` again with all
kinds. It is JSON of limited size, with pixels in base64; screens show it without the data set and
without PyTorch.
"""

import json
from collections.abc import Iterable
from typing import Literal, NamedTuple, TypeAlias, get_args

import msgspec

from cnn_engine.errors import DataError, StorageError
from cnn_engine.results.pictures import MAX_BYTES, SavedPicture, check_one_size
from cnn_engine.runs.directory import RunDirectory
from cnn_engine.runs.hints import command_for
from cnn_engine.storage.atomic import write_atomically
from cnn_engine.storage.json_files import Count, Probability, read_json

SUSPECTS_FILE = "suspects.json"
FORMAT = 1

MAX_SUSPECTS = 300
"""Images saved."""

Kind: TypeAlias = Literal["label", "duplicate", "outlier"]
"""Reasons for suspicion: the label is probably wrong; a near-duplicate has another label; the image
is unlike all others."""

KINDS: tuple[Kind, ...] = get_args(Kind)


class Suspect(SavedPicture, frozen=True, kw_only=True):
    """An image whose label is suspicious."""

    kind: Kind

    name: str
    """File path below the folder of images, or the image's number."""

    label: Count
    """Index of the given class."""

    likely: Count
    """Index of the likelier class; equal to `label` if unknown."""

    score: Probability
    """0 to 1; comparable within a kind only. The most suspicious image has the largest."""

    other: str = ""
    """Name of the near-duplicate; empty for other kinds."""


class SuspectRow(NamedTuple):
    """An image in the list of all images of a run, without its picture: a line of the CSV file."""

    kind: Kind

    rank: int
    """1 for the most suspicious image of the kind."""

    path: str
    """As `Suspect.name`."""

    given: str
    """Name of the given class."""

    likely: str
    """Name of the likelier class; empty if unknown, as of outliers."""

    score: float
    other: str
    """As in `Suspect`."""

    mark: str
    """The user's mark on the image; empty without one."""


class Suspects(msgspec.Struct, frozen=True, kw_only=True):
    """The most suspicious images of a run, those of kind `label` first, by score within a kind.

    Raises:
        ValueError: an index is not one of a class, or the images differ in size.
    """

    method: str
    """Methods that found them, as a phrase: `area under the margin over 20 epochs`."""

    classes: list[str]
    """Class names."""

    suspects: list[Suspect]

    def __post_init__(self) -> None:
        check_one_size(self.suspects)
        for suspect in self.suspects:
            if max(suspect.label, suspect.likely) >= len(self.classes):
                raise ValueError(f"{suspect.name}: has a class that the file does not name")


def sorted_suspects(suspects: Iterable[Suspect]) -> list[Suspect]:
    """Return the images by kind in the order of `KINDS`, by score within a kind."""
    return sorted(suspects, key=lambda suspect: (KINDS.index(suspect.kind), -suspect.score))


def encode_suspects(suspects: Suspects) -> bytes:
    """Return the content of `suspects.json`."""
    values = {"format": FORMAT, **msgspec.to_builtins(suspects)}
    return json.dumps(values, allow_nan=False, separators=(",", ":")).encode()


def save_suspects(run: RunDirectory, suspects: Suspects) -> None:
    """Write `suspects.json`.

    Raises:
        StorageError: it cannot be written.
    """
    try:
        write_atomically(run.path / SUSPECTS_FILE, encode_suspects(suspects))
    except OSError as error:
        raise StorageError(
            f"{SUSPECTS_FILE} could not be written: {error.strerror}. Once there is space: "
            f"{command_for('data suspects', run)}"
        ) from None


def read_suspects(run: RunDirectory) -> Suspects:
    """Read the suspicious images of a run.

    Raises:
        DataError: the file is missing or damaged; says how to create it.
        ConfigError: a newer version of cnn-tui wrote it.
    """
    path = run.path / SUSPECTS_FILE
    try:
        file = read_json(path, Suspects, format_=FORMAT, max_bytes=MAX_BYTES)
    except DataError as error:
        raise DataError(f"{error}; create it with: {command_for('data suspects', run)}") from None
    return msgspec.structs.replace(file, suspects=sorted_suspects(file.suspects))
