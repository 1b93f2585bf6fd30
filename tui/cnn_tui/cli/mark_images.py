"""`cnn-tui data mark`: marks on images, for scripts; the dashboard has keys for them."""

import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cnn_engine.errors import ConfigError, DataError
from cnn_tui.cli.options import AsJson
from cnn_tui.text.json import to_json
from cnn_tui.text.safe import escaped

if TYPE_CHECKING:
    from cnn_engine.data.marks import Marked, Marks

STDIN = "-"


def mark(  # noqa: PLR0913 - one parameter per option
    folder: Annotated[
        Path,
        typer.Argument(metavar="FOLDER", help="Folder of the images, as in --data-dir."),
    ],
    images: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[IMAGE]...",
            help="Images in FOLDER; - reads them from stdin, one per line. Without any, list the "
            "marks.",
        ),
    ] = None,
    relabel: Annotated[
        str | None, typer.Option(metavar="CLASS", help="They are of this class.")
    ] = None,
    drop: Annotated[bool, typer.Option("--drop", help="Do not use them.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Their labels are right.")] = False,
    clear: Annotated[bool, typer.Option("--clear", help="Remove their marks.")] = False,
    as_json: AsJson = False,
) -> None:
    """Mark images as mislabelled, unusable or right. Runs honour the marks; no file is moved.

    The marks are in FOLDER/cnn-tui-marks.csv.
    """
    from cnn_engine.data.marks import change_marks, read_marks

    if not folder.is_dir():
        raise DataError(f"{folder}: is not a folder; name the folder of the images")
    names = [*_names(folder, images or ())]
    is_chosen = relabel is not None, drop, keep, clear
    if not names and not any(is_chosen):
        _print_marks(folder, read_marks(folder), as_json=as_json)
        return
    if not names:
        raise ConfigError("data mark: name the images to mark")
    if sum(is_chosen) != 1:
        raise ConfigError("data mark: choose one of --relabel CLASS, --drop, --keep and --clear")
    marked = None if clear else _marked(folder, relabel, drop=drop)
    if marked is not None and (gone := [name for name in names if not (folder / name).is_file()]):
        raise DataError(
            f"{folder / gone[0]}: does not exist; name images by their path in {folder}, as "
            "`cnn-tui data suspects` lists them"
        )
    marks = change_marks(folder, dict.fromkeys(names, marked))
    if as_json:
        _print_marks(folder, marks, as_json=True)
        return
    word = "no longer marked" if marked is None else f"marked: {' '.join(filter(None, marked))}"
    count = f"{len(names):,} image{'s' * (len(names) != 1)}"
    print(escaped(f"{count} {word}. {_counts(folder, marks)}", 2000))


def _names(folder: Path, images: Sequence[str]) -> Iterator[str]:
    """Yield images by their path in the folder; they may be given relative to `.` as well."""
    for image in images:
        lines = sys.stdin.read().splitlines() if image == STDIN else [image]
        yield from (_name(folder, line) for line in lines if line)


def _name(folder: Path, image: str) -> str:
    if not (folder / image).exists() or Path(image).is_absolute():
        absolute = os.path.abspath(image)  # noqa: PTH100 - links are not resolved
        root = os.path.join(os.path.abspath(folder), "")  # noqa: PTH100, PTH118
        if absolute.startswith(root):
            return absolute[len(root) :]
    return image


def _marked(folder: Path, relabel: str | None, *, drop: bool) -> "Marked":
    from cnn_engine.data.marks import Marked

    if relabel is None:
        return Marked("drop" if drop else "keep")
    _check_class(folder, relabel)
    return Marked("relabel", relabel)


def _check_class(folder: Path, name: str) -> None:
    """Raise ConfigError for a class that the folder does not have."""
    from cnn_engine.config.suggestion import suggest
    from cnn_engine.data.image_files import same_form
    from cnn_engine.data.sources.layout import find_layout
    from cnn_engine.texts import listed

    try:
        classes = find_layout(folder).train
    except DataError:
        return  # a table names the classes: a run checks them
    if same_form(name) not in map(same_form, classes):
        raise ConfigError(
            f"--relabel {name}: is not a class of {folder}{suggest(name, classes)} "
            f"(classes: {listed(list(classes))})"
        )


def _print_marks(folder: Path, marks: "Marks", *, as_json: bool) -> None:
    if as_json:
        print(
            to_json(
                [
                    {"path": name, "mark": marked.mark, "class": marked.class_name or None}
                    for name, marked in sorted(marks.items())
                ]
            )
        )
        return
    for name, (mark_, class_name) in sorted(marks.items()):
        print(escaped(f"{mark_:<8} {name}{f' → {class_name}' if class_name else ''}", 4000))
    print(_counts(folder, marks), file=sys.stderr)


def _counts(folder: Path, marks: "Marks") -> str:
    if not marks:
        return "No image is marked."
    gone = sum(not (folder / name).is_file() for name in marks)
    missing = f"; {gone:,} marked image{'s do' if gone > 1 else ' does'} not exist" * bool(gone)
    counted = Counter(marked.mark for marked in marks.values())
    counts = ", ".join(f"{count:,} {mark_}" for mark_, count in sorted(counted.items()))
    return f"Marked in all: {counts}; the next run honours them{missing}."
