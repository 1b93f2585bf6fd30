"""What a network computes, in plain Python: every figure of the lesson comes from here."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

Grid: TypeAlias = Sequence[Sequence[float]]
"""Numbers [rows][columns]."""


class Cell(NamedTuple):
    """Where a window stands, or a cell of what it makes."""

    row: int
    column: int


def output_size(size: int, kernel: int, stride: int = 1, padding: int = 0) -> int:
    """How often a window of `kernel` pixels fits along a side of `size` pixels."""
    return (size + 2 * padding - kernel) // stride + 1


def padded(image: Grid, padding: int) -> list[list[float]]:
    """The image with so many rows and columns of zeros around it."""
    width = len(image[0]) + 2 * padding
    sides = [0.0] * padding
    rows = [[*sides, *row, *sides] for row in image]
    return [[0.0] * width for _ in sides] + rows + [[0.0] * width for _ in sides]


def window(image: Grid, kernel: Cell, at: Cell) -> list[float]:
    """What a window of that size sees whose upper left corner is there, row by row."""
    rows = image[at.row : at.row + kernel.row]
    return [value for row in rows for value in row[at.column : at.column + kernel.column]]


def products(image: Grid, weights: Grid, at: Cell) -> list[tuple[float, float]]:
    """Pixels and the filter's weights that meet at that place."""
    seen = window(image, Cell(len(weights), len(weights[0])), at)
    return list(zip(seen, [weight for row in weights for weight in row], strict=True))


def weighted_sum(pairs: Sequence[tuple[float, float]]) -> float:
    """What a filter makes of what it sees."""
    return sum(left * right for left, right in pairs)


def convolve(image: Grid, weights: Grid, stride: int = 1, padding: int = 0) -> list[list[float]]:
    """The feature map: the weighted sum at every place of the window."""
    framed = padded(image, padding)
    kernel = Cell(len(weights), len(weights[0]))
    return _at_every_place(
        framed, kernel, stride, lambda at: weighted_sum(products(framed, weights, at))
    )


def pool(image: Grid, size: int, choose: Callable[[list[float]], float]) -> list[list[float]]:
    """One value of every window of that size; windows do not overlap."""
    kernel = Cell(size, size)
    return _at_every_place(image, kernel, size, lambda at: choose(window(image, kernel, at)))


def _at_every_place(
    image: Grid, kernel: Cell, stride: int, make: Callable[[Cell], float]
) -> list[list[float]]:
    down = output_size(len(image), kernel.row, stride)
    across = output_size(len(image[0]), kernel.column, stride)
    return [
        [make(Cell(row * stride, column * stride)) for column in range(across)]
        for row in range(down)
    ]


def mean(values: Sequence[float]) -> float:
    """Their mean."""
    return sum(values) / len(values)


def relu(value: float) -> float:
    """The value, or 0 where it is negative."""
    return max(0.0, value)


def softmax(scores: Sequence[float]) -> list[float]:
    """Scores as shares of 1: e to the score, divided by the sum of all of these."""
    powers = [math.exp(score) for score in scores]
    return [power / sum(powers) for power in powers]


def cross_entropy(share: float) -> float:
    """Loss for the share that the true class was given."""
    return -math.log(share)


def descend(slope: Callable[[float], float], start: float, rate: float, steps: int) -> list[float]:
    """Where gradient descent goes: the start, and the place after each step."""
    places = [start]
    for _ in range(steps):
        places.append(places[-1] - rate * slope(places[-1]))
    return places
