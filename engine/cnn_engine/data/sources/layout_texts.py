"""Texts on folders at an unusual place, and on those that are not used."""

import re
import shlex
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from cnn_engine.data.image_files import same_form
from cnn_engine.data.sources.parts import PARTS, PURPOSES, Part, part_of
from cnn_engine.data.sources.subfolders import (
    class_root,
    has_images,
    images_in,
    with_images,
)
from cnn_engine.texts import listed

FOLD = re.compile(r"(k[\s_-]?)?folds?[\s_-]?\d+|cv[\s_-]?\d+", re.IGNORECASE)
"""Names of folders of a cross-validation, such as `fold0` and `Fold 1`."""


def given_texts(
    given: Mapping[Part, list[Path]], named: Mapping[Part, list[Path]]
) -> Iterator[str]:
    """Yield texts on the use of splits, unless only `train` and `test` are given."""
    names = {part: folders[0].name for part, folders in given.items() if folders}
    if names not in ({"train": "train"}, {"train": "train", "test": "test"}):
        yield ", ".join(f"{name}/ is used for {PURPOSES[part]}" for part, name in names.items())
    if "test" not in names and ("val" in names or named["test"]):
        yield f"there are no labelled test images: they are split off from {names['train']}/"


def beside_text(train: Path, folders: list[Path]) -> Iterator[str]:
    """Yield a text on folders with images beside those of the splits."""
    names = [f"{folder.name}/" for folder in folders if has_images(folder) or with_images(folder)]
    if names:
        yield f"not used, because beside {train.name}/: {listed(names)}"


def unlabelled_text(folder: Path, part: Part) -> str:
    """Return a text on a folder that is named like a split, but has no images of a class."""
    inner = class_root(folder)
    names = [path.name for path in with_images(inner)]
    if not names and not has_images(inner):
        problem = "it contains no images"
    elif has_images(inner):
        problem = "its images are not in class folders"
    else:
        problem = f"none of its folders ({listed(names)}) is named like a training class"
    return f"{folder.name}/ is not used for {PURPOSES[part]}: {problem}"


def unused_texts(base: Path, folders: list[Path], classes: list[Path]) -> Iterator[str]:
    """Yield texts on folders without images, and on images beside the class folders."""
    known = set(classes)
    if others := [folder.name for folder in folders if folder not in known]:
        verb = "is not a class: it contains" if len(others) == 1 else "are no classes: they contain"
        yield f"{listed([f'{name}/' for name in others])} {verb} no images"
    yield from stray_texts(base)


def stray_texts(base: Path) -> Iterator[str]:
    """Yield a text on images directly in a folder of folders."""
    if stray := sum(1 for _ in images_in(base)):
        yield f"{stray:,} image{'s' * (stray != 1)} beside the folders in {base} not used"


def doubtful_classes(classes: Sequence[Path]) -> Iterator[str]:
    """Yield texts on class folders that may be something else, by their names and subfolders."""
    yield from _named_like_splits(classes)
    taken = f"{listed([f'{folder.name}/' for folder in classes])} are taken for the classes, but "
    if all(FOLD.fullmatch(folder.name.strip()) for folder in classes):
        yield (
            f"{taken}named like folds of cross-validation: put the images of each class into one "
            "folder"
        )
        return
    inside = [
        () if has_images(folder) else tuple(same_form(path.name) for path in with_images(folder))
        for folder in classes
    ]
    splits = sorted({name for names in inside for name in names if part_of(name)})
    if len({part_of(name) for name in splits}) > 1:
        first = min(splits, key=lambda name: PARTS.index(part_of(name) or "test"))
        yield (
            f"class folders contain folders named like splits ({listed(splits)}), and all their "
            "images are used alike: if they are splits, put the classes into them, as in "
            f"{first}/{classes[0].name}/"
        )
    elif len(inside[0]) > 1 and len(set(inside)) == 1:
        yield (
            f"{taken}contain the same folders ({listed(inside[0])}): if those are the classes, "
            f"pass one of them, such as --data-dir {shlex.quote(str(classes[0]))}"
        )


def _named_like_splits(classes: Sequence[Path]) -> Iterator[str]:
    """Yield a text if class folders have names of splits."""
    if names := [f"{folder.name}/" for folder in classes if part_of(folder.name)]:
        verb = "is a class" if len(names) == 1 else "are classes"
        yield (
            f"{listed(names)} {verb}, but named like a split: if the images are not labelled, "
            "move them elsewhere"
        )


def similar_names(classes: Collection[str]) -> Iterator[str]:
    """Yield a text if names of classes differ only in case or blanks."""
    by_word: dict[str, list[str]] = {}
    for name in classes:
        by_word.setdefault(re.sub(r"[\s_-]+", "", name.casefold()), []).append(name)
    similar = [" and ".join(map(repr, names)) for names in by_word.values() if len(names) > 1]
    if similar:
        yield (
            f"classes with nearly the same name: {listed(similar)}; if they are the same class, "
            "use one name for it"
        )
