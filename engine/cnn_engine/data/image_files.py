"""Image files by extension, and the search for them below folders."""

import os
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

EXTENSIONS = frozenset(
    ".jpg .jpeg .png .webp .bmp .gif .tif .tiff .ppm .pgm .pbm .jp2 .avif".split()
)


def is_image_name(name: str) -> bool:
    """Return True if a file name has an image extension and is not hidden."""
    return os.path.splitext(name)[1].lower() in EXTENSIONS and not name.startswith(".")  # noqa: PTH122 - there may be millions


def images_below(folder: str, problem: Callable[[OSError], None]) -> Iterator[str]:
    """Yield the paths of all image files below a folder, sorted by name.

    Links to folders are not followed, so loops are harmless.

    Args:
        folder: Folder to search.
        problem: Called for each folder that cannot be read; the search continues.
    """
    for directory, folders, files in os.walk(folder, onerror=problem):
        folders.sort()
        yield from (os.path.join(directory, name) for name in sorted(files) if is_image_name(name))  # noqa: PTH118


class RequestedImage(NamedTuple):
    """An image file given by the user, directly or by its folder."""

    path: str

    folder: str
    """Folder that was given; empty if the file itself was given."""

    def true_class(self, classes: Collection[str]) -> str | None:
        """Return the class that a folder between `folder` and the file names; None without one."""
        between = Path(self.path).relative_to(self.folder).parts[:-1] if self.folder else ()
        return next((part for part in between if part in classes), None)


def find_images(names: Iterable[str], problem: Callable[[OSError], None]) -> list[RequestedImage]:
    """Return the given files, and the image files below the given folders, in order."""
    return [
        RequestedImage(path, name if is_folder else "")
        for name in names
        for is_folder in [os.path.isdir(name)]  # noqa: PTH112
        for path in (images_below(name, problem) if is_folder else [name])
    ]
