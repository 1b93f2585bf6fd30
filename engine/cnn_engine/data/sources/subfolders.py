"""Subfolders that may be classes or splits, and whether they contain images."""

import os
from collections.abc import Collection, Iterator
from pathlib import Path

from cnn_engine.data.image_files import is_hidden, is_image, same_form
from cnn_engine.data.image_search import PassedOver, walk_images
from cnn_engine.runs.directory import is_default_runs_dir, iter_runs


def find_subfolders(folder: Path) -> list[Path]:
    """Return the folders in a folder, sorted by name.

    Without hidden and system folders, links to parent folders, runs and virtual environments.
    """
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if is_hidden(entry.name) or not entry.is_dir():
                continue
            path = folder / entry.name
            # A link to a parent folder would be a class with all images.
            leads_up = entry.is_symlink() and folder.resolve().is_relative_to(path.resolve())
            if not leads_up and (has_images(path) or not _belongs_to_program(path)):
                found.append(path)
    return sorted(found)


def with_images(folder: Path) -> list[Path]:
    """Return the subfolders that contain images at any depth."""
    return [path for path in find_subfolders(folder) if _first_image(path, PassedOver())]


def class_root(folder: Path, known: Collection[str] = ()) -> Path:
    """Return the given folder of a split, or the only one inside it if that contains the classes.

    Args:
        folder: Folder of a split.
        known: Names of classes, which are not entered.
    """
    while not has_images(folder):
        inner = with_images(folder)
        if len(inner) != 1 or same_form(inner[0].name) in known or not with_images(inner[0]):
            break
        folder = inner[0]
    return folder


def has_images(folder: Path) -> bool:
    """Return True if there are images directly in a folder."""
    return next(images_in(folder), None) is not None


def images_in(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Yield the images directly in a folder, unsorted."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if not is_hidden(entry.name) and not entry.is_dir() and is_image(entry):
                yield entry


def may_be_class(folder: Path) -> bool:
    """Return False if there are files below a folder, but none is an image of any format.

    An empty folder may be a class whose images are missing.
    """
    passed_over = PassedOver()
    return (
        _first_image(folder, passed_over) is not None
        or passed_over.has_unsupported()
        or not passed_over.suffixes
    )


def _first_image(folder: Path, passed_over: PassedOver) -> os.DirEntry[str] | None:
    return next(walk_images(str(folder), passed_over), None)


def _belongs_to_program(folder: Path) -> bool:
    """Return True for a run, a directory of runs and a virtual environment."""
    return (
        (folder / "events.jsonl").is_file()
        or (folder / "pyvenv.cfg").is_file()
        or (folder / ".trash").is_dir()
        or next(iter_runs(folder), None) is not None
        or is_default_runs_dir(folder)
    )
