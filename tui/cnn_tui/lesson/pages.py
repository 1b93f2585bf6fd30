"""What the lesson is made of: chapters of pages of text and figures."""

import textwrap
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import NamedTuple, TypeAlias

from textual.content import Content

from cnn_tui.lesson.arithmetic import Cell, Grid


class Canvas(NamedTuple):
    """What there is to draw on."""

    width: int
    pictures: bool
    """Whether in half blocks and colours; or else in characters."""


Figure: TypeAlias = Callable[[Canvas], Sequence[Content]]
"""Lines, which are not to be wrapped."""

Parts: TypeAlias = tuple[str | Figure, ...]

MAX_WIDTH = 76
"""Cells across that text is easily read in."""


@dataclass(frozen=True)
class Page:
    """What is seen at a time: texts, and figures between them."""

    parts: Parts

    def lines(self, canvas: Canvas) -> list[Content]:
        """All of it, with a blank line between two parts."""
        lines: list[Content] = []
        for part in self.parts:
            lines += [*part_lines(part, canvas), Content("")]
        return lines[:-1]


@dataclass(frozen=True)
class Chapter:
    """Pages about one thing."""

    title: str
    pages: tuple[Page, ...]


def part_lines(part: str | Figure, canvas: Canvas) -> Sequence[Content]:
    """A text wrapped, or a figure drawn."""
    if not isinstance(part, str):
        return [piece for line in part(canvas) for piece in _folded(line, canvas.width)]
    wrapped = textwrap.wrap(part, min(canvas.width, MAX_WIDTH), break_on_hyphens=False)
    return [Content(line) for line in wrapped]


def _folded(line: Content, width: int) -> Iterator[Content]:
    """The line, or where it is too long its pieces, broken at spaces."""
    while line.cell_length > width and (at := line.plain.rfind(" ", 1, width)) > 0:
        yield line[:at]
        line = Content("  ") + line[at + 1 :]
    yield line


def number(value: float, digits: int = 4) -> str:
    """A number as it is written by hand: `−6`, `0.25`; at most so many figures."""
    return f"{value:.{digits}g}".replace("-", "−")


def decimals(value: float) -> str:
    """`−1.00`: two decimals."""
    return f"{value:.2f}".replace("-", "−")


def grid(
    values: Sequence[Sequence[float | str]],
    marked: Collection[Cell] = (),
) -> list[Content]:
    """Numbers in columns; those that are marked stand in brackets, and in colour."""
    texts = [[cell if isinstance(cell, str) else number(cell) for cell in row] for row in values]
    width = max(len(cell) for row in texts for cell in row)
    return [
        Content.assemble(
            *(
                (f"[{cell:>{width}}]", "bold $primary")
                if Cell(y, x) in marked
                else f" {cell:>{width}} "
                for x, cell in enumerate(row)
            )
        )
        for y, row in enumerate(texts)
    ]


def tight_grid(values: Grid) -> list[Content]:
    """Numbers in columns, as narrow as can be."""
    texts = [[number(cell) for cell in row] for row in values]
    width = max(len(cell) for row in texts for cell in row)
    return [Content(" ".join(f"{cell:>{width}}" for cell in row)) for row in texts]


def cells_of(at: Cell, size: Cell) -> set[Cell]:
    """The cells that a window covers."""
    return {
        Cell(at.row + row, at.column + column)
        for row in range(size.row)
        for column in range(size.column)
    }


def filled(values: Grid, count: int) -> list[list[float | str]]:
    """The first cells of a grid, row by row; a dot for those that are not made yet."""
    width = len(values[0])
    return [
        [value if y * width + x < count else "·" for x, value in enumerate(row)]
        for y, row in enumerate(values)
    ]


def captioned(caption: str, lines: Sequence[Content]) -> list[Content]:
    """Lines with words above them."""
    return [Content.styled(caption, "$muted"), *lines]


def beside(*blocks: Sequence[Content], gap: int = 3) -> list[Content]:
    """Blocks of lines side by side, from the top."""
    widths = [max(line.cell_length for line in block) for block in blocks]
    blank = Content("")
    return [
        Content(" " * gap).join(
            line.pad_right(width - line.cell_length)
            for line, width in zip(row, widths, strict=True)
        )
        for row in zip_longest(*blocks, fillvalue=blank)
    ]


def fitting(*blocks: Sequence[Content], canvas: Canvas, gap: int = 3) -> list[Content]:
    """Blocks side by side, or below each other where there is no room for that."""
    row = beside(*blocks, gap=gap)
    if max(line.cell_length for line in row) <= canvas.width:
        return row
    stacked: list[Content] = []
    for block in blocks:
        stacked += [*block, Content("")]
    return stacked[:-1]


def bar_lines(names: Sequence[str], shares: Sequence[float], canvas: Canvas) -> list[Content]:
    """A bar for each share, with its name before and its percentage behind."""
    name_width = max(map(len, names))
    width = max(4, min(30, canvas.width - name_width - 9))
    return [
        Content.assemble(
            f"{name:<{name_width}} ",
            ("━" * round(share * width), "$primary"),
            ("─" * (width - round(share * width)), "$faint"),
            f" {100 * share:5.1f}%",
        )
        for name, share in zip(names, shares, strict=True)
    ]
