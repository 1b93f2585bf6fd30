"""Search of image files by the names that tables give them: with or without folder and suffix."""

import os
from collections.abc import Iterable, Sequence
from itertools import takewhile
from pathlib import Path
from typing import TypeAlias

from cnn_engine.data.image_files import same_form

Parts: TypeAlias = tuple[str, ...]


def parts_of(name: str) -> Parts:
    """Return folders and name of a path as people write it, also on Windows; "" is no part."""
    parts = same_form(name.strip()).replace("\\", "/").split("/")
    if ".." in parts:
        parts = parts[len(parts) - parts[::-1].index("..") :]
    return tuple(part for part in parts if part not in ("", "."))


def common_folders(names: Iterable[str]) -> int:
    """Return how many leading folders all paths share."""
    folders = [parts_of(name)[:-1] for name in names]
    first, last = min(folders, default=()), max(folders, default=())
    pairs = zip(first, last, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


class ImageIndex:
    """Image files by the names that a table may give them."""

    def __init__(self, root: Path, paths: Sequence[str]) -> None:
        """Index files.

        Args:
            root: Directory of the images.
            paths: Files relative to it; their positions are the results of `find`.
        """
        self._above = parts_of(str(root.absolute()))
        self._paths = [parts_of(path) for path in paths]
        self._by_path = {parts: position for position, parts in enumerate(self._paths)}
        self._by_name: dict[str, list[int]] = {}
        for position, (*_, name) in enumerate(self._paths):
            for key in {name.casefold(), _stem(name).casefold()}:
                self._by_name.setdefault(key, []).append(position)

    def find(self, name: str, common: int = 0) -> list[int]:
        """Return the positions of the files that a name may mean: none, one, or several.

        Folders in the name must be those of the file, from any folder above on. An exact name is
        preferred to one in another case, and these to a name without its suffix.

        Args:
            name: Path of an image.
            common: Leading folders that may be missing here, as all paths of the table share them.
        """
        parts = parts_of(name)
        if not parts:
            return []
        for exact in (parts, parts[common:]):
            if exact in self._by_path:  # fast, also if all images have one name
                return [self._by_path[exact]]
        found = self._by_name.get(parts[-1].casefold(), [])
        for folders in dict.fromkeys((parts[:-1], parts[common:-1])):
            if matching := [position for position in found if self._is_in(position, folders)]:
                ranks = [self._rank(position, parts[-1]) for position in matching]
                best = [
                    position
                    for position, rank in zip(matching, ranks, strict=True)
                    if rank == min(ranks)
                ]
                direct = [position for position in best if self._paths[position][:-1] == folders]
                return direct or best
        return []

    def _is_in(self, position: int, folders: Parts) -> bool:
        above = self._above + self._paths[position][:-1]
        return above[len(above) - len(folders) :] == folders

    def _rank(self, position: int, name: str) -> int:
        own = self._paths[position][-1]
        equal = (own == name, own.casefold() == name.casefold(), _stem(own) == name, True)
        return equal.index(True)


def _stem(name: str) -> str:
    return os.path.splitext(name)[0]  # noqa: PTH122 - there may be millions
