"""Which files are images, by their names; and all those below a folder."""

import os
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

EXTENSIONS = frozenset(
    ".jpg .jpeg .png .webp .bmp .gif .tif .tiff .ppm .pgm .pbm .jp2 .avif".split()
)


def is_image_name(name: str) -> bool:
    """Whether a file of that name is taken for an image; hidden ones are not."""
    return os.path.splitext(name)[1].lower() in EXTENSIONS and not name.startswith(".")  # noqa: PTH122 - there may be millions


def images_below(folder: str, problem: Callable[[OSError], None]) -> Iterator[str]:
    """Paths of the image files below a folder, whatever its structure, in the order of names.

    Links to folders are not followed, so a loop of them is no danger.

    Args:
        folder: Where to look.
        problem: Told of each folder that cannot be read; the others are looked into all the same.
    """
    for directory, folders, files in os.walk(folder, onerror=problem):
        folders.sort()
        yield from (os.path.join(directory, name) for name in sorted(files) if is_image_name(name))  # noqa: PTH118


class RequestedImage(NamedTuple):
    """An image file that was asked for."""

    path: str

    folder: str
    """The folder that was named and holds it; empty where the file itself was named."""

    def true_class(self, classes: Collection[str]) -> str | None:
        """The class that it is of, as a folder between the one named and the file says."""
        between = Path(self.path).relative_to(self.folder).parts[:-1] if self.folder else ()
        return next((part for part in between if part in classes), None)


def find_images(names: Iterable[str], problem: Callable[[OSError], None]) -> list[RequestedImage]:
    """The files named, and the image files below the folders named, in that order."""
    return [
        RequestedImage(path, name if is_folder else "")
        for name in names
        for is_folder in [os.path.isdir(name)]  # noqa: PTH112
        for path in (images_below(name, problem) if is_folder else [name])
    ]
