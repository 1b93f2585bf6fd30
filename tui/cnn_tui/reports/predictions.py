"""A prediction of `cnn-tui predict` as a picture with bars, a line, a CSV row or a JSON line."""

import csv
import json
from collections.abc import Sequence
from io import StringIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cnn_engine.inference.prediction import Prediction
from cnn_tui.charts.blocks import bar
from cnn_tui.pictures.colors import to_256_colors
from cnn_tui.pictures.half_blocks import Picture, draw_picture
from cnn_tui.text.numbers import percent
from cnn_tui.text.safe import csv_cell, escaped, safe_text
from cnn_tui.text.width import cut_start, pad, widest

PICTURE_COLUMNS = 20
"""Width of a picture, whose height is half as many lines."""

GAP = 2
"""Columns between a picture and the text beside it."""

MAX_NAME_LENGTH = 24
MIN_BAR_COLUMNS, MAX_BAR_COLUMNS = 5, 40
PERCENT_COLUMNS = 9
"""Width of a percentage and of the gaps around a bar."""

MAX_PATH_LENGTH = 4096


def name_width(classes: Sequence[str]) -> int:
    """Return the width in cells of the longest class name."""
    return widest(safe_text(name, MAX_NAME_LENGTH) for name in classes)


def as_line(prediction: Prediction, width: int) -> str:
    """Return `cat  97.3%   dog  1.2%   photos/1.jpg`, with names padded to `width` cells."""
    classes = "".join(
        f"{_padded(name, width)} {percent(probability):>6}  "
        for name, probability in prediction.top
    )
    return classes + escaped(prediction.path, MAX_PATH_LENGTH)


def as_json(prediction: Prediction) -> str:
    """Return a JSON object on one line, in ASCII; undecodable bytes of a path are surrogates."""
    top = [{"class": name, "probability": round(value, 6)} for name, value in prediction.top]
    return json.dumps({"path": prediction.path, **top[0], "truth": prediction.target, "top": top})


def csv_heading(count: int) -> str:
    """Return the names of the CSV columns for `count` classes per image."""
    others = (f"class_{rank},probability_{rank}" for rank in range(2, count + 1))
    return ",".join(["path,truth,class,probability", *others])


def as_csv(prediction: Prediction) -> str:
    """Return a CSV row without a line end."""
    cells = [csv_cell(prediction.path, MAX_PATH_LENGTH), csv_cell(prediction.target or "")]
    for name, probability in prediction.top:
        cells += [csv_cell(name, MAX_PATH_LENGTH), f"{probability:.6f}"]
    row = StringIO()
    csv.writer(row, lineterminator="").writerow(cells)
    return row.getvalue()


def has_room(width: int, columns: int) -> bool:
    """Return True if a picture, names of `width` cells and bars fit into `columns`."""
    return columns >= PICTURE_COLUMNS + GAP + width + PERCENT_COLUMNS + MIN_BAR_COLUMNS


def show(prediction: Prediction, width: int, console: Console) -> None:
    """Print the model's input as a picture, and the most likely classes beside it."""
    channels = len(prediction.pixels) // prediction.size**2
    picture = Picture(prediction.pixels, prediction.size, prediction.size, channels)
    rows = draw_picture(picture, PICTURE_COLUMNS)
    if console.color_system == "256":
        rows = to_256_colors(rows)
    drawn = Text("\n").join(Text.assemble(*row) for row in rows)
    table = Table.grid(padding=(0, GAP))
    table.add_column()
    table.add_column(vertical="middle")
    room = console.width - PICTURE_COLUMNS - GAP
    table.add_row(drawn, Text("\n").join(_beside(prediction, width, room)))
    console.print(table)
    console.print()


def _beside(prediction: Prediction, width: int, room: int) -> list[Text]:
    """Return path, verdict and class bars, in lines of at most `room` cells."""
    bar_width = min(MAX_BAR_COLUMNS, room - width - PERCENT_COLUMNS)
    lines = [
        Text(cut_start(safe_text(prediction.path, MAX_PATH_LENGTH), room), "bold"),
        _verdict(prediction),
    ]
    for rank, (name, probability) in enumerate(prediction.top):
        done, rest = bar(probability, bar_width)
        style = "bold" if rank == 0 else ""
        lines.append(
            Text.assemble(
                (f"{_padded(name, width)} ", style),
                (done, "green" if rank == 0 else "cyan"),
                (rest, "dim"),
                (f" {percent(probability):>6}", style),
            )
        )
    return lines


def _verdict(prediction: Prediction) -> Text:
    """Return a comparison with the folder's name; empty if that is not the name of a class."""
    if prediction.target is None:
        return Text()
    if prediction.target == prediction.top[0][0]:
        return Text("✓ matches the folder name", "green")
    return Text(f"✗ folder name: {safe_text(prediction.target, MAX_NAME_LENGTH)}", "red")


def _padded(name: str, width: int) -> str:
    return pad(safe_text(name, MAX_NAME_LENGTH), width)
