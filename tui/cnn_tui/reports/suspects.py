"""Suspicious images of a run as lines, or as pictures with their classes."""

from collections.abc import Iterable, Sequence
from itertools import groupby

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cnn_engine.results.suspects import Kind, Suspect, SuspectRow, Suspects
from cnn_tui.pictures.colors import to_256_colors
from cnn_tui.pictures.half_blocks import Picture, draw_picture
from cnn_tui.text.safe import safe_text
from cnn_tui.text.width import cut_start, pad, widest

HEADINGS: dict[Kind, str] = {
    "label": "Suspicious labels",
    "duplicate": "Near-duplicates with other labels",
    "outlier": "Outliers",
}

PICTURE_COLUMNS, GAP, MIN_COLUMNS = 16, 2, 60
MAX_NAME_LENGTH, MAX_PATH_LENGTH = 24, 4096


def has_room(columns: int) -> bool:
    """Return True if pictures with texts beside them fit into `columns`."""
    return columns >= MIN_COLUMNS


def print_suspects(
    rows: Sequence[SuspectRow], suspects: Suspects, console: Console, *, pictures: bool
) -> None:
    """Print rows by kind.

    Args:
        rows: The images to print.
        suspects: Their pictures, as far as there are any, and the methods.
        console: The console for results.
        pictures: True to print pictures.
    """
    by_name = {(suspect.kind, suspect.name): suspect for suspect in suspects.suspects}
    console.print(f"By {suspects.method}", style="dim", soft_wrap=True, markup=False)
    if not rows:
        console.print("Nothing is suspicious", markup=False)
    for kind, group in groupby(rows, lambda row: row.kind):
        console.print(f"\n{HEADINGS[kind]}", style="bold")
        if pictures:
            for row in group:
                _show(row, by_name.get((row.kind, row.path)), console)
        else:
            _print_lines([*group], console)


def _print_lines(rows: Sequence[SuspectRow], console: Console) -> None:
    classes = [_classes(row) for row in rows]
    width, digits = widest(classes), len(str(rows[-1].rank))
    for row, names in zip(rows, classes, strict=True):
        line = f"{row.rank:>{digits}}  {row.score:.3f}  {pad(names, width)}  {_paths(row)}"
        console.print(Text(line), soft_wrap=True)


def _show(row: SuspectRow, suspect: Suspect | None, console: Console) -> None:
    """Print the picture of an image, if there is one, and texts beside it."""
    table = Table.grid(padding=(0, GAP))
    table.add_column(width=PICTURE_COLUMNS)
    table.add_column(vertical="middle")
    room = console.width - PICTURE_COLUMNS - GAP
    lines = [Text(cut_start(line, room), style) for line, style in _beside(row)]
    table.add_row(_drawn(suspect, console) if suspect else Text(), Text("\n").join(lines))
    console.print(table)
    console.print()


def _beside(row: SuspectRow) -> Iterable[tuple[str, str]]:
    yield safe_text(row.path, MAX_PATH_LENGTH), "bold"
    yield _classes(row), ""
    if row.other:
        yield f"like {safe_text(row.other, MAX_PATH_LENGTH)}", ""
    yield f"{row.rank}  score {row.score:.3f}", "dim"


def _drawn(suspect: Suspect, console: Console) -> Text:
    picture = Picture(suspect.pixels, suspect.width, suspect.height, suspect.channels)
    rows = draw_picture(picture, PICTURE_COLUMNS)
    if console.color_system == "256":
        rows = to_256_colors(rows)
    return Text("\n").join(Text.assemble(*row) for row in rows)


def _classes(row: SuspectRow) -> str:
    """Return `cat → dog`: the given class and the likelier one, if there is one."""
    given = safe_text(row.given, MAX_NAME_LENGTH)
    if not row.likely:
        return given
    return f"{given} → {safe_text(row.likely, MAX_NAME_LENGTH)}"


def _paths(row: SuspectRow) -> str:
    paths = [row.path, row.other] if row.other else [row.path]
    return "  like  ".join(safe_text(path, MAX_PATH_LENGTH) for path in paths)
