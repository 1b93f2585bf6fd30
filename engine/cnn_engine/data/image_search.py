"""Search for image files below folders, and counts of everything else there."""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from cnn_engine.data.image_files import (
    EXTENSIONS,
    UNSUPPORTED,
    UNSUPPORTED_IMAGES,
    UNSUPPORTED_PHOTOS,
    is_hidden,
    is_image,
    same_form,
    suffix_of,
)

MAX_KINDS = 6
"""Maximum number of suffixes or names in a text."""

MAX_SUFFIX_LENGTH = 10
"""Length of a suffix, with its dot; in names with longer ones the dot has another meaning."""


@dataclass
class PassedOver:
    """Counts of files and folders below a folder that are not used."""

    suffixes: Counter[str] = field(default_factory=Counter)
    """Files that are not images, by suffix in lower case; "" without one."""

    hidden: Counter[str] = field(default_factory=Counter)
    """Hidden and system folders, by name."""

    hidden_files: int = 0
    """Hidden files with the suffix of an image."""

    links: int = 0
    """Links to folders, which are not followed."""

    def add_file(self, suffix: str) -> None:
        """Count a file; `suffix` is in lower case."""
        self.suffixes[suffix if len(suffix) <= MAX_SUFFIX_LENGTH else ""] += 1

    def add_hidden(self, name: str, *, is_folder: bool) -> None:
        """Count a hidden folder, or a hidden file if it has the suffix of an image."""
        if is_folder:
            self.hidden[name] += 1
        else:
            self.hidden_files += suffix_of(name) in EXTENSIONS

    def update(self, other: "PassedOver") -> None:
        """Add the counts of another folder."""
        self.suffixes.update(other.suffixes)
        self.hidden.update(other.hidden)
        self.hidden_files += other.hidden_files
        self.links += other.links

    def has_unsupported(self) -> bool:
        """Return True if some of the files are images of an unsupported format."""
        return not UNSUPPORTED.isdisjoint(self.suffixes)

    def texts(self) -> list[str]:
        """Return all texts on what is not used, with counts and reasons."""
        return [text for text in (self.file_text(), *self.other_texts()) if text]

    def file_text(self) -> str:
        """Return a text on the files, by suffix and with reasons; empty if there are none."""
        if not (total := self.suffixes.total()):
            return ""
        kinds = sorted(self.suffixes.items(), key=lambda kind: (-kind[1], kind[0] or "~"))
        listed = [
            f"{f'{count:,} ' * (len(kinds) > 1)}{suffix or 'no suffix'} ({_reason(suffix)})"
            for suffix, count in kinds[:MAX_KINDS]
        ]
        if more := sum(count for _, count in kinds[MAX_KINDS:]):
            listed.append(f"{more:,} of other kinds")
        return f"{total:,} file{'s' * (total != 1)} passed over: {', '.join(listed)}"

    def other_texts(self) -> Iterator[str]:
        """Yield texts on hidden images, hidden folders and links to folders, if there are any."""
        if count := self.hidden_files:
            yield f"{count:,} hidden image file{'s' * (count != 1)} passed over"
        if total := self.hidden.total():
            names = ", ".join(sorted(self.hidden)[:MAX_KINDS])
            yield f"{total:,} hidden or system folder{'s' * (total != 1)} passed over: {names}"
        if self.links:
            noun = "link to a folder" if self.links == 1 else "links to folders"
            yield f"{self.links:,} {noun} passed over: links are not followed"


def _reason(suffix: str) -> str:
    if suffix in UNSUPPORTED_PHOTOS:
        return "not supported; convert to JPEG"
    return "not supported; convert to PNG" if suffix in UNSUPPORTED_IMAGES else "not an image"


def _raise(error: OSError) -> None:
    raise error


def walk_images(
    folder: str, passed_over: PassedOver, problem: Callable[[OSError], None] = _raise
) -> Iterator[os.DirEntry[str]]:
    """Yield all image files below a folder, unsorted.

    Links to folders are not followed, so loops are harmless.

    Args:
        folder: Folder to search.
        passed_over: Gets the counts of everything that is not used.
        problem: Called for each folder that cannot be read; the search continues. By default the
            error is raised.
    """
    pending = [folder]
    while pending:
        try:
            with os.scandir(pending.pop()) as entries:
                for entry in entries:
                    is_folder = entry.is_dir(follow_symlinks=False)
                    if is_hidden(entry.name):
                        passed_over.add_hidden(entry.name, is_folder=is_folder)
                    elif is_folder:
                        pending.append(entry.path)
                    elif entry.is_symlink() and os.path.isdir(entry.path):  # noqa: PTH112
                        passed_over.links += 1
                    elif is_image(entry):
                        yield entry
                    else:
                        passed_over.add_file(suffix_of(entry.name))
        except OSError as error:
            problem(error)


def sort_key(path: str) -> str:
    """Return a sort key by parts of a path: NUL sorts before all characters of names."""
    return path.replace(os.sep, "\0")


class RequestedImage(NamedTuple):
    """An image file given by the user, directly or by its folder."""

    path: str

    folder: str
    """Folder that was given; empty if the file itself was given."""

    def true_class(self, classes: Mapping[str, str]) -> str | None:
        """Return the class that a folder between `folder` and the file names; None without one.

        Args:
            classes: Names of classes by their form NFC.
        """
        between = Path(self.path).relative_to(self.folder).parts[:-1] if self.folder else ()
        names = (classes.get(same_form(part)) for part in between)
        return next((name for name in names if name is not None), None)


def find_images(
    names: Iterable[str], passed_over: PassedOver, problem: Callable[[OSError], None]
) -> list[RequestedImage]:
    """Return the given files, and the image files below the given folders, in order.

    Args:
        names: Files and folders; a file is an image whatever its name.
        passed_over: Gets the counts of everything below the folders that is not used.
        problem: Called for each folder that cannot be read; the search continues.
    """
    found = []
    for name in names:
        if os.path.isdir(name):  # noqa: PTH112
            paths = [entry.path for entry in walk_images(name, passed_over, problem)]
            found += [RequestedImage(path, name) for path in sorted(paths, key=sort_key)]
        else:
            found.append(RequestedImage(name, ""))
    return found
