"""The arithmetic of a network in plain Python; the lesson computes every number with it."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

Grid: TypeAlias = Sequence[Sequence[float]]
"""Numbers [rows][columns]."""


class Cell(NamedTuple):
    """A position in a grid, or the size of a window in rows and columns."""

    row: int
    column: int


def output_size(size: int, kernel: int, stride: int = 1, padding: int = 0) -> int:
    """Return the output size of a convolution along one side (as `torch.nn.Conv2d`)."""
    return (size + 2 * padding - kernel) // stride + 1


def pad(image: Grid, padding: int) -> list[list[float]]:
    """Return the image with `padding` rows and columns of zeros on each side."""
    width = len(image[0]) + 2 * padding
    side = [0.0] * padding
    rows = [[*side, *row, *side] for row in image]
    return [[0.0] * width for _ in side] + rows + [[0.0] * width for _ in side]


def window(image: Grid, size: Cell, corner: Cell) -> list[float]:
    """Return the pixels of a window, row by row.

    Args:
        image: Pixels [rows][columns].
        size: Rows and columns of the window.
        corner: Its upper left pixel.
    """
    rows = image[corner.row : corner.row + size.row]
    return [pixel for row in rows for pixel in row[corner.column : corner.column + size.column]]


def pair_with_weights(image: Grid, weights: Grid, corner: Cell) -> list[tuple[float, float]]:
    """Return each pixel of the window at `corner` with its weight, row by row."""
    pixels = window(image, Cell(len(weights), len(weights[0])), corner)
    return list(zip(pixels, [weight for row in weights for weight in row], strict=True))


def weighted_sum(pairs: Sequence[tuple[float, float]]) -> float:
    """Return the sum of the products of all pairs."""
    return sum(left * right for left, right in pairs)


def convolve(image: Grid, weights: Grid, stride: int = 1, padding: int = 0) -> list[list[float]]:
    """Return the feature map: the weighted sum at every position of the window."""
    padded = pad(image, padding)
    kernel = Cell(len(weights), len(weights[0]))
    return _slide(
        padded,
        kernel,
        stride,
        lambda corner: weighted_sum(pair_with_weights(padded, weights, corner)),
    )


def pool(image: Grid, size: int, reduce: Callable[[list[float]], float]) -> list[list[float]]:
    """Return one value of each window of `size` × `size`; windows do not overlap."""
    kernel = Cell(size, size)
    return _slide(image, kernel, size, lambda corner: reduce(window(image, kernel, corner)))


def _slide(
    image: Grid, kernel: Cell, stride: int, compute: Callable[[Cell], float]
) -> list[list[float]]:
    height = output_size(len(image), kernel.row, stride)
    width = output_size(len(image[0]), kernel.column, stride)
    return [
        [compute(Cell(row * stride, column * stride)) for column in range(width)]
        for row in range(height)
    ]


def mean(values: Sequence[float]) -> float:
    """Return the arithmetic mean."""
    return sum(values) / len(values)


def relu(value: float) -> float:
    """Return the value, or 0 if it is negative."""
    return max(0.0, value)


def softmax(logits: Sequence[float]) -> list[float]:
    """Return probabilities: the exponential of each logit divided by the sum of all."""
    powers = [math.exp(logit) for logit in logits]
    return [power / sum(powers) for power in powers]


def cross_entropy(probability: float) -> float:
    """Return the cross-entropy loss, given the probability of the true class."""
    return -math.log(probability)


def gradient_descent(
    gradient: Callable[[float], float], start: float, learning_rate: float, steps: int
) -> list[float]:
    """Return the weight before the first step and after each step."""
    weights = [start]
    for _ in range(steps):
        weights.append(weights[-1] - learning_rate * gradient(weights[-1]))
    return weights
