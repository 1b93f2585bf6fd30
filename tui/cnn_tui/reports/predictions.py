"""A prediction of `cnn-tui predict` as a picture with bars, a line, a CSV row or a JSON line."""

import csv
import json
from collections.abc import Sequence
from io import StringIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cnn_engine.inference.prediction import Prediction
from cnn_engine.results.heatmap import Heatmap
from cnn_tui.charts.blocks import bar
from cnn_tui.pictures.colors import to_256_colors
from cnn_tui.pictures.half_blocks import Picture, draw_picture
from cnn_tui.pictures.heat import SHADES, draw_heat
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
    return widest(map(_class_name, classes))


def as_line(prediction: Prediction, width: int) -> str:
    """Return `cat  97.3%   dog  1.2%   photos/1.jpg`, with names padded to `width` cells."""
    classes = "".join(
        f"{_padded(name, width)} {percent(probability):>6}  "
        for name, probability in prediction.top
    )
    return classes + escaped(prediction.path, MAX_PATH_LENGTH)


def as_json(prediction: Prediction, *, why: bool) -> str:
    """Return a JSON object on one line, in ASCII; undecodable bytes of a path are surrogates."""
    top = [{"class": name, "probability": round(value, 6)} for name, value in prediction.top]
    values = {"path": prediction.path, **top[0], "truth": prediction.target, "top": top}
    return json.dumps(values | ({"why": _heat_rows(prediction.heatmap)} if why else {}))


def _heat_rows(heatmap: Heatmap | None) -> list[list[int]] | None:
    """Return the rows of a heatmap, 0 to 255."""
    if heatmap is None:
        return None
    values, width = heatmap.values, heatmap.width
    return [list(values[first : first + width]) for first in range(0, len(values), width)]


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


def has_room(width: int, columns: int, pictures: int = 1) -> bool:
    """Return True if the pictures, names of `width` cells and bars fit into `columns`."""
    room = columns - pictures * (PICTURE_COLUMNS + GAP)
    return room >= width + PERCENT_COLUMNS + MIN_BAR_COLUMNS


def show(prediction: Prediction, width: int, console: Console, *, colors: bool) -> None:
    """Print the model's input as a picture, and the most likely classes beside it.

    With a heatmap, the picture is drawn again with it, or only so if there is no room for two.
    """
    channels = len(prediction.pixels) // prediction.size**2
    picture = Picture(prediction.pixels, prediction.size, prediction.size, channels)
    pictures = [draw_picture(picture, PICTURE_COLUMNS, colors=colors)]
    if prediction.heatmap is not None:
        heat = draw_heat(picture, prediction.heatmap, PICTURE_COLUMNS, colors=colors)
        pictures = [*pictures, heat] if has_room(width, console.width, 2) else [heat]
    table = Table.grid(padding=(0, GAP))
    drawn = []
    for rows in pictures:
        table.add_column()
        shown = to_256_colors(rows) if console.color_system == "256" else rows
        drawn.append(
            Text("\n", no_wrap=True, overflow="crop").join(Text.assemble(*row) for row in shown)
        )
    table.add_column(vertical="middle")
    room = console.width - len(pictures) * (PICTURE_COLUMNS + GAP)
    beside = _beside(prediction, width, room)
    if prediction.heatmap is not None:
        marks = "yellow and orange" if colors else " ".join(SHADES[2] + SHADES[1])
        beside.append(Text(f"{marks} speak for {_class_name(prediction.top[0][0])}", "dim"))
    table.add_row(*drawn, Text("\n").join(beside))
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
    return Text(f"✗ folder name: {_class_name(prediction.target)}", "red")


def _padded(name: str, width: int) -> str:
    return pad(_class_name(name), width)


def _class_name(name: str) -> str:
    return safe_text(name, MAX_NAME_LENGTH)
