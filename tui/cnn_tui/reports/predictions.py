"""What a model says of images: a picture with bars, a line, a row of CSV, a line of JSON."""

import csv
import json
from collections.abc import Sequence
from io import StringIO

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cnn_engine.inference.prediction import Prediction
from cnn_tui.charts.blocks import bar
from cnn_tui.pictures.colors import to_256_colors
from cnn_tui.pictures.half_blocks import Picture, draw_picture
from cnn_tui.text.numbers import percent
from cnn_tui.text.safe import csv_cell, safe_text

PICTURE_COLUMNS = 20
"""Width of a picture, whose height is half as many lines."""

GAP = 2
"""Columns between a picture and what stands beside it."""

LONGEST_NAME = 24
SHORTEST_BAR, LONGEST_BAR = 5, 40
SHARE_COLUMNS = 9
"""Of a percentage, and of the gaps around a bar."""

LONGEST_PATH = 4096


def name_width(classes: Sequence[str]) -> int:
    """Cells that the longest of the class names takes."""
    return max(cell_len(safe_text(name, LONGEST_NAME)) for name in classes)


def as_line(answer: Prediction, width: int) -> str:
    """`cat  97.3%   dog  1.2%   photos/1.jpg`, the names padded to `width`."""
    answers = "".join(
        f"{_padded(name, width)} {percent(probability):>6}  " for name, probability in answer.top
    )
    return answers + safe_text(answer.path, LONGEST_PATH)


def as_json(answer: Prediction) -> str:
    """One object on a line, in ASCII; bytes of a path that are no text are lone surrogates."""
    top = [{"class": name, "probability": round(value, 6)} for name, value in answer.top]
    return json.dumps({"path": answer.path, **top[0], "truth": answer.target, "top": top})


def csv_heading(count: int) -> str:
    """Names of the columns, for `count` classes an image."""
    others = (f"class_{place},probability_{place}" for place in range(2, count + 1))
    return ",".join(["path,truth,class,probability", *others])


def as_csv(answer: Prediction) -> str:
    """A row without its end."""
    cells = [csv_cell(answer.path, LONGEST_PATH), csv_cell(answer.target or "")]
    for name, probability in answer.top:
        cells += [csv_cell(name, LONGEST_PATH), f"{probability:.6f}"]
    row = StringIO()
    csv.writer(row, lineterminator="").writerow(cells)
    return row.getvalue()


def has_room(width: int, columns: int) -> bool:
    """Whether a picture, names of that width and bars fit beside each other."""
    return columns >= PICTURE_COLUMNS + GAP + width + SHARE_COLUMNS + SHORTEST_BAR


def show(answer: Prediction, width: int, console: Console) -> None:
    """Print the picture as the model saw it, and the likeliest classes beside it."""
    channels = len(answer.pixels) // answer.size**2
    picture = Picture(answer.pixels, answer.size, answer.size, channels)
    rows = draw_picture(picture, PICTURE_COLUMNS)
    if console.color_system == "256":
        rows = to_256_colors(rows)
    drawn = Text("\n").join(Text.assemble(*row) for row in rows)
    table = Table.grid(padding=(0, GAP))
    table.add_column()
    table.add_column(vertical="middle")
    room = console.width - PICTURE_COLUMNS - GAP
    table.add_row(drawn, Text("\n").join(_beside(answer, width, room)))
    console.print(table)
    console.print()


def _beside(answer: Prediction, width: int, room: int) -> list[Text]:
    """Lines of at most `room` cells."""
    bar_width = min(LONGEST_BAR, room - width - SHARE_COLUMNS)
    lines = [Text(_end_of(safe_text(answer.path, LONGEST_PATH), room), "bold"), _verdict(answer)]
    for place, (name, probability) in enumerate(answer.top):
        done, rest = bar(probability, bar_width)
        style = "bold" if place == 0 else ""
        lines.append(
            Text.assemble(
                (f"{_padded(name, width)} ", style),
                (done, "green" if place == 0 else "cyan"),
                (rest, "dim"),
                (f" {percent(probability):>6}", style),
            )
        )
    return lines


def _verdict(answer: Prediction) -> Text:
    """Whether the folder's name says the same; nothing where it says nothing."""
    if answer.target is None:
        return Text()
    if answer.target == answer.top[0][0]:
        return Text("✓ as its folder says", "green")
    return Text(f"✗ its folder says {safe_text(answer.target, LONGEST_NAME)}", "red")


def _padded(name: str, width: int) -> str:
    shown = safe_text(name, LONGEST_NAME)
    return shown + " " * (width - cell_len(shown))


def _end_of(text: str, room: int) -> str:
    """The text, or as much of its end as fits."""
    if cell_len(text) <= room:
        return text
    while text and cell_len(text) >= room:
        text = text[1:]
    return f"…{text}"
