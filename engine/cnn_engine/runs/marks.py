"""A user's marks on a run: star, name, note and tags, in a file beside the log."""

import json
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any, get_type_hints

import msgspec

from cnn_engine.errors import ConfigError, StorageError
from cnn_engine.runs.directory import RunDirectory
from cnn_engine.storage.atomic import write_atomically
from cnn_engine.storage.regular_files import open_regular

MAX_NAME_LENGTH, MAX_TAG_LENGTH, MAX_NOTE_LENGTH = 80, 40, 2000

MAX_BYTES = 2**20
"""A larger file of marks is damaged."""


@dataclass(frozen=True, kw_only=True)
class Marks:
    """Star, name, note and tags of a run."""

    star: bool = False

    name: str | None = None
    """Name that replaces the one given at the start; None keeps that."""

    note: str = ""

    tags: tuple[str, ...] = ()
    """Sorted, without duplicates."""

    def with_tags(self, *tags: str) -> "Marks":
        """Return a copy with these tags added."""
        return replace(self, tags=tuple(sorted({*self.tags, *tags})))

    def without_tags(self, *tags: str) -> "Marks":
        """Return a copy with these tags removed."""
        return replace(self, tags=tuple(tag for tag in self.tags if tag not in tags))


NO_MARKS = Marks()

_DECODERS = {name: msgspec.json.Decoder(type_) for name, type_ in get_type_hints(Marks).items()}
_FILE_DECODER = msgspec.json.Decoder(dict[str, msgspec.Raw])


def read_marks(run: RunDirectory) -> Marks:
    """Return the run's marks; `NO_MARKS` if it has none or the file is damaged.

    Fields of a wrong type are ignored, so that a bad manual edit does not lose the other marks.
    """
    try:
        with open_regular(f"{run.path}/marks.json") as file:
            content = _FILE_DECODER.decode(file.read(MAX_BYTES))
    except (OSError, msgspec.MsgspecError, RecursionError):
        return NO_MARKS
    values: dict[str, Any] = {}
    for name, decoder in _DECODERS.items():
        if name in content:
            with suppress(msgspec.MsgspecError):
                values[name] = decoder.decode(content[name])
    return Marks(**values).with_tags()


def write_marks(run: RunDirectory, marks: Marks) -> None:
    """Replace the run's marks.

    Raises:
        StorageError: the file cannot be written; the old marks are kept.
    """
    try:
        write_atomically(run.marks, json.dumps(asdict(marks)).encode())
    except OSError as error:
        raise StorageError(f"{run.marks}: cannot be written: {error.strerror}") from None


def checked_name(text: str) -> str:
    """Return a run's name without surrounding spaces.

    Raises:
        ConfigError: it is too long or has unprintable characters.
    """
    return _checked("name", text, MAX_NAME_LENGTH)


def parse_tags(text: str) -> list[str]:
    """Return the tags in a text, in which commas or spaces separate them: `paper, base`.

    Raises:
        ConfigError: a tag is too long or has unprintable characters.
    """
    return [_checked("tag", tag, MAX_TAG_LENGTH) for tag in text.replace(",", " ").split()]


def checked_note(text: str) -> str:
    """Return a note without surrounding spaces.

    Raises:
        ConfigError: it is too long or has unprintable characters.
    """
    return _checked("note", text, MAX_NOTE_LENGTH)


def _checked(kind: str, text: str, max_length: int) -> str:
    text = text.strip()
    if len(text) > max_length:
        raise ConfigError(f"{kind}: {len(text):,} characters; at most {max_length} are allowed")
    if not text.isprintable():
        bad = next(char for char in text if not char.isprintable())
        raise ConfigError(f"{kind}: contains the unprintable character {bad!r}")
    return text
