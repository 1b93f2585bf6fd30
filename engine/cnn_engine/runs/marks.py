"""What its user noted of a run: a small file of its own, as the log tells what happened only."""

import json
from dataclasses import asdict, dataclass, replace
from typing import Any

from cnn_engine.errors import ConfigError, StorageError
from cnn_engine.runs.directory import RunDirectory
from cnn_engine.storage.atomic import write_atomically

MAX_NAME_LENGTH, MAX_TAG_LENGTH, MAX_NOTE_LENGTH = 80, 40, 2000


@dataclass(frozen=True, kw_only=True)
class Marks:
    """A user's own words for a run."""

    star: bool = False
    """Whether it stands out."""

    name: str | None = None
    """What it is called now; None: as when it was started."""

    note: str = ""
    """Free text."""

    tags: tuple[str, ...] = ()
    """Words that runs have in common, sorted."""

    def with_tags(self, *words: str) -> "Marks":
        """The same with these tags too."""
        return replace(self, tags=tuple(sorted({*self.tags, *words})))

    def without_tags(self, *words: str) -> "Marks":
        """The same without these tags."""
        return replace(self, tags=tuple(tag for tag in self.tags if tag not in words))


NO_MARKS = Marks()


def read_marks(run: RunDirectory) -> Marks:
    """The run's marks; none where there are none, or the file is damaged."""
    try:
        # Not by pathlib: this is asked of every run of a list, and most have no such file.
        with open(f"{run.path}/marks.json", "rb") as file:  # noqa: PTH123
            return _marks_of(json.loads(file.read()))
    except (OSError, ValueError, RecursionError):
        return NO_MARKS


def _marks_of(values: Any) -> Marks:  # noqa: ANN401 - whatever the file holds
    fits = isinstance(values, dict) and isinstance(values.get("tags", []), list)
    if not fits:
        return NO_MARKS
    name, note = values.get("name"), values.get("note")
    return Marks(
        star=values.get("star") is True,
        name=name if isinstance(name, str) else None,
        note=note if isinstance(note, str) else "",
        tags=tuple(sorted({tag for tag in values.get("tags", []) if isinstance(tag, str)})),
    )


def write_marks(run: RunDirectory, marks: Marks) -> None:
    """Keep these marks from now on.

    Raises:
        StorageError: they cannot be written; the old ones stand.
    """
    try:
        write_atomically(run.marks, json.dumps(asdict(marks)).encode())
    except OSError as error:
        raise StorageError(f"{run.marks}: cannot be written: {error.strerror}") from None


def checked_name(text: str) -> str:
    """What a user calls a run, as it is kept; it is never the name of a file.

    Raises:
        ConfigError: it cannot be shown as it is, or is too long.
    """
    return _checked("name", text, MAX_NAME_LENGTH)


def checked_tag(text: str) -> str:
    """A tag as it is kept.

    Raises:
        ConfigError: it is empty, more than a word, too long, or cannot be shown as it is.
    """
    if not text.strip() or len(text.split()) > 1:
        raise ConfigError(f"tag {text!r}: write one word, such as baseline")
    return _checked("tag", text, MAX_TAG_LENGTH)


def checked_note(text: str) -> str:
    """A note as it is kept.

    Raises:
        ConfigError: it is too long, or cannot be shown as it is.
    """
    return _checked("note", text, MAX_NOTE_LENGTH)


def _checked(what: str, text: str, longest: int) -> str:
    text = text.strip()
    if len(text) > longest:
        raise ConfigError(f"{what}: at most {longest} characters; this has {len(text):,}")
    if not text.isprintable():
        bad = next(char for char in text if not char.isprintable())
        raise ConfigError(f"{what}: holds {bad!r}, which is no printable character")
    return text
