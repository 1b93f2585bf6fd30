"""Layout of a folder of images: which folders are classes, and which are given splits."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias

from cnn_engine.config.paths import is_directory
from cnn_engine.data.image_files import same_form
from cnn_engine.data.sources.flat_folder import no_class_folders, sorting_advice
from cnn_engine.data.sources.layout_texts import (
    beside_text,
    doubtful_classes,
    given_texts,
    similar_names,
    stray_texts,
    unlabelled_text,
    unused_texts,
)
from cnn_engine.data.sources.parts import PARTS, PURPOSES, Part, part_of
from cnn_engine.data.sources.subfolders import (
    class_root,
    find_subfolders,
    has_images,
    may_be_class,
    with_images,
)
from cnn_engine.errors import DataError

ClassFolders: TypeAlias = Mapping[str, tuple[Path, ...]]
"""Folders of each class, by its name in Unicode's form NFC."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Folders of the classes of each split."""

    train: ClassFolders

    val: ClassFolders = field(default_factory=dict)
    """Folders of validation images; empty if there are none."""

    test: ClassFolders = field(default_factory=dict)
    """Folders of test images; empty if there are none."""

    notices: tuple[str, ...] = ()
    """Texts on folders at an unusual place, and on those that are not used."""

    warnings: tuple[str, ...] = ()
    """Texts on folders that may not be what they are taken for."""


def find_layout(root: Path) -> Layout:
    """Return the layout of a folder; its subfolders are read up to their first image.

    `root` contains the folders of classes; or those of splits such as `train` and `val`, which
    contain them; or a single folder with either of these.

    Raises:
        DataError: there are no classes, or only one; or the splits are incomplete or ambiguous.
    """
    refuse_missing(root)
    try:
        return _find_layout(root)
    except OSError as error:
        raise DataError(f"{error.filename}: cannot be read: {error.strerror}") from None


def refuse_missing(root: Path) -> None:
    """Refuse a path that is not a folder.

    Raises:
        DataError: it is not.
    """
    if is_directory(root):
        return
    here = Path.cwd()
    is_relative = not root.is_absolute() or root.is_relative_to(here)
    origin = f" (relative paths start from the current directory, {here})" if is_relative else ""
    raise DataError(f"{root}: is not a folder; pass the folder that contains your images{origin}")


def _find_layout(root: Path) -> Layout:
    base, notices = root, list[str]()
    while True:
        folders = find_subfolders(base)
        named = {
            part: [folder for folder in folders if part_of(folder.name) == part] for part in PARTS
        }
        if train := [folder for folder in named["train"] if with_images(class_root(folder))]:
            _refuse_several(base, train, "train")
            layout = _given_splits(base, train[0], folders, named)
            break
        _refuse_without_train(base, named)
        classes = [folder for folder in folders if may_be_class(folder)]
        if len(classes) != 1 or has_images(classes[0]) or not with_images(classes[0]):
            layout = _classes_only(base, folders, classes)
            break
        notices += stray_texts(base)
        base = classes[0]
        notices.append(f"the classes are the folders in {base.relative_to(root)}/")
    class_folders = [folder for found in layout.train.values() for folder in found]
    warnings = (*doubtful_classes(class_folders), *similar_names(layout.train))
    return replace(layout, notices=(*notices, *layout.notices), warnings=warnings)


def _by_name(folders: list[Path]) -> ClassFolders:
    by_name: dict[str, tuple[Path, ...]] = {}
    for folder in folders:
        name = same_form(folder.name)
        by_name[name] = (*by_name.get(name, ()), folder)
    return dict(sorted(by_name.items()))


def _classes_only(base: Path, folders: list[Path], classes: list[Path]) -> Layout:
    """Return the layout without given splits.

    Args:
        base: Folder of the class folders.
        folders: All folders in it.
        classes: Those that may be classes.
    """
    _refuse_too_few_classes(base, classes)
    return Layout(
        train=_by_name(classes),
        notices=tuple(unused_texts(base, folders, classes)),
    )


def _given_splits(
    base: Path, train: Path, folders: list[Path], named: Mapping[Part, list[Path]]
) -> Layout:
    """Return the layout with the classes of `train`, and with the other splits if they are given.

    Args:
        base: Folder of the splits' folders.
        train: Folder of the training images.
        folders: All folders in `base`.
        named: Those named like a split.
    """
    inner = class_root(train)
    inside = find_subfolders(inner)
    classes = [folder for folder in inside if may_be_class(folder)]
    _refuse_too_few_classes(inner, classes)
    known = _by_name(classes)
    given: dict[Part, list[Path]] = {"train": [train]}
    held_out: dict[Part, ClassFolders] = {}
    notices = list(unused_texts(inner, inside, classes))
    for part in PARTS[1:]:
        given[part] = [folder for folder in named[part] if _is_labelled(folder, known)]
        _refuse_several(base, given[part], part)
        held_out[part] = _known_classes(given[part], known)
        for folder in given[part]:
            notices += stray_texts(class_root(folder, known))
        notices += [
            unlabelled_text(folder, part) for folder in named[part] if folder not in given[part]
        ]
    in_splits = [folder for found in named.values() for folder in found]
    notices += beside_text(train, [folder for folder in folders if folder not in in_splits])
    notices += stray_texts(base)
    notices = [*given_texts(given, named), *notices]
    return Layout(train=known, val=held_out["val"], test=held_out["test"], notices=tuple(notices))


def _is_labelled(folder: Path, known: Collection[str]) -> bool:
    """Return True if a split has images of a known class."""
    found = with_images(class_root(folder, known))
    return any(same_form(path.name) in known for path in found)


def _known_classes(folders: list[Path], known: ClassFolders) -> ClassFolders:
    """Return the class folders of a split, which is given by at most one folder.

    Raises:
        DataError: one of them is not a class of the training images.
    """
    found = [path for folder in folders for path in with_images(class_root(folder, known))]
    if unknown := [path for path in found if same_form(path.name) not in known]:
        raise DataError(
            f"{unknown[0]}: is not a class of the training images; add training images of it, or "
            "move it elsewhere"
        )
    return _by_name(found)


def _refuse_several(base: Path, folders: list[Path], part: Part) -> None:
    if len(folders) > 1:
        names = " and ".join(f"{folder.name}/" for folder in folders)
        raise DataError(
            f"{base}: {names} are both named as images for {PURPOSES[part]}; rename or remove one"
        )


def _refuse_without_train(base: Path, named: Mapping[Part, list[Path]]) -> None:
    """Refuse validation or test images, if there are no training images in class folders.

    Raises:
        DataError: there are such images.
    """
    held_out = [*named["val"], *named["test"]]
    if held_out and (flat := [folder for folder in named["train"] if has_images(folder)]):
        raise DataError(no_class_folders(flat[0]))
    if labelled := [folder.name for folder in held_out if with_images(class_root(folder))]:
        raise DataError(
            f"{base}: has {labelled[0]}/ with class folders, but no such train/; put the other "
            "class folders there"
        )


def _refuse_too_few_classes(base: Path, classes: list[Path]) -> None:
    if not classes and has_images(base):
        raise DataError(no_class_folders(base))
    if not classes:
        raise DataError(
            f"{base}: contains no class folders; put the images of each class into their own folder"
        )
    if len(_by_name(classes)) == 1:
        text = f"{base}: has only 1 class, {classes[0].name}; at least two are needed"
        if has_images(classes[0]):
            text += f". If its images are of several classes: {sorting_advice(classes[0])}"
        raise DataError(text)
