"""Chapters 1 to 4: what an image is, convolution, stride and padding, ReLU and pooling."""

from collections.abc import Sequence
from functools import partial

from textual.content import Content

from cnn_tui.lesson.arithmetic import (
    Cell,
    Grid,
    convolve,
    mean,
    output_size,
    pool,
    products,
    relu,
    weighted_sum,
)
from cnn_tui.lesson.pages import (
    Canvas,
    Chapter,
    Page,
    captioned,
    cells_of,
    filled,
    fitting,
    grid,
    number,
    tight_grid,
)
from cnn_tui.pictures.half_blocks import Picture, draw_picture

SEVEN = (
    "00000000",
    "0adffe80",
    "0556aff0",
    "00003fb0",
    "0000cf30",
    "0006f900",
    "000df200",
    "003fa000",
)
"""A picture: each character is a grey value in sixteenths, from 0 for black to f for white."""

IMAGE = ((1, 2, 3), (4, 5, 6), (7, 8, 9))
FILTER = ((1, 1), (-1, -1))
"""The published example: positive above, negative below, so that it finds horizontal edges."""

MAP = ((1, -3, 2, 0), (-2, 4, 1, 3), (5, 0, -1, -4), (2, 1, -2, -6))
"""A feature map to be pooled."""


def image_chapter() -> Chapter:
    """1: numbers."""
    grey = [[int(char, 16) * 17 for char in line] for line in SEVEN]
    side, colored, pixels = len(grey), 32 * 32 * 3, (0, 51, 204, 255)
    return Chapter(
        "What an image is to a computer",
        (
            Page(
                (
                    "You see a seven. A computer has a grid of numbers, one for each pixel: "
                    f"{min(map(min, grey))} is black, {max(map(max, grey))} is white. This one is "
                    f"{side} pixels high and {side} wide.",
                    partial(_picture_and_numbers, grey),
                    "Nothing in them says “seven”. That has to be found out, and a network learns "
                    "how from examples.",
                )
            ),
            Page(
                (
                    "A colour image is three such grids, one above the other: how red, how green "
                    f"and how blue each pixel is. At 32 × 32 pixels that is 32 · 32 · 3 = "
                    f"{colored:,} numbers. The three grids are called channels.",
                    "Numbers that are large and all positive make learning slow, so each pixel p "
                    "becomes (p / 255 − 0.5) / 0.5 first. Black, grey and white turn into:",
                    lambda _: grid(
                        [
                            ["pixel", *pixels],
                            [
                                "becomes",
                                *((pixel / 255 - 0.5) / 0.5 for pixel in pixels),
                            ],
                        ]
                    ),
                )
            ),
        ),
    )


def _picture_and_numbers(grey: Sequence[Sequence[int]], canvas: Canvas) -> list[Content]:
    pixels = bytes(pixel for row in grey for pixel in row)
    picture = Picture(pixels, len(grey[0]), len(grey), 1)
    drawn = [Content.assemble(*row) for row in draw_picture(picture, 16, colors=canvas.pictures)]
    return fitting(drawn, tight_grid(grey), canvas=canvas)


def convolution_chapter() -> Chapter:
    """2: a small window slides over the image."""
    made = convolve(IMAGE, FILTER)
    across = len(made[0])
    places = [Cell(row, column) for row in range(len(made)) for column in range(across)]
    intro = (
        "A filter is a small grid of numbers, its weights. It slides over the image like a window. "
        "Wherever it stands, each pixel is multiplied by the weight that lies on it, and all is "
        "added up. The sums make a new grid, the feature map."
    )
    pages = [
        Page((intro, partial(_window, made, at, count + 1))) for count, at in enumerate(places)
    ]
    step = IMAGE[1][0] - IMAGE[0][0]
    end = Page(
        (
            partial(_window, made, None, len(places)),
            f"Every sum is {number(made[0][0])}: from one row to the next this image grows by "
            f"{step}, at {len(FILTER[0])} pixels side by side, and the filter takes what is below "
            "from what is above. It finds edges that lie flat; where nothing changes it gives 0: ",
            partial(_flat, 5),
            "Nobody writes such filters down. A network begins with random ones, and learns them.",
        )
    )
    return Chapter("Convolution, by hand", (*pages, end))


def _window(made: Grid, at: Cell | None, count: int, canvas: Canvas) -> list[Content]:
    """The image under the window, the filter, the map so far, and the sum."""
    size = Cell(len(FILTER), len(FILTER[0]))
    figure = fitting(
        captioned("image", grid(IMAGE, cells_of(at, size) if at else ())),
        captioned("filter", grid(FILTER)),
        captioned("map", grid(filled(made, count), {at} if at else ())),
        canvas=canvas,
    )
    if at is None:
        return figure
    pairs = products(IMAGE, FILTER, at)
    return [
        *figure,
        Content(""),
        Content(" + ".join(f"{number(pixel)}·{_bracketed(weight)}" for pixel, weight in pairs)),
        Content.assemble(
            f"  = {signed_sum([pixel * weight for pixel, weight in pairs])} = ",
            (number(weighted_sum(pairs)), "bold $primary"),
        ),
    ]


def _flat(value: int, _look: Canvas) -> list[Content]:
    pairs = [(float(value), float(weight)) for row in FILTER for weight in row]
    terms = signed_sum([pixel * weight for pixel, weight in pairs])
    return [Content(f"{terms} = {number(weighted_sum(pairs))}")]


def _bracketed(value: float) -> str:
    return f"({number(value)})" if value < 0 else number(value)


def signed_sum(terms: Sequence[float], digits: int = 4) -> str:
    """`1 + 2 − 4 − 5`."""
    first, *others = terms
    text = number(first, digits)
    for term in others:
        text += f" {'−' if term < 0 else '+'} {number(abs(term), digits)}"
    return text


def stride_and_padding_chapter() -> Chapter:
    """3: how far the window moves, and what lies around the image."""
    size, kernel = 5, 3
    formula = (
        "How large is the map? A window of k pixels fits (n + 2·p − k) / s + 1 times along a side "
        "of n pixels, where the stride s is how far it moves at a time, and the padding p is how "
        "many zeros are put around the image."
    )
    settings = (
        (1, 0, "Without padding the map is smaller than the image."),
        (2, 0, "Stride 2 leaves out every other place: a quarter of the work."),
        (1, 1, "With padding 1 a 3 × 3 filter keeps the size, and sees the edge as well."),
        (2, 1, "Both: half the size, rounded up."),
    )
    pages = [
        Page((formula, partial(_places, size, kernel, stride, padding), text))
        for stride, padding, text in settings
    ]
    sides = [32]
    for _ in range(3):
        sides.append(output_size(output_size(sides[-1], 3, 1, 1), 2, 2))
    way = " → ".join(map(str, sides))
    end = Page(
        (
            "The network that cnn-tui trains by default has three blocks. In each, filters of "
            "3 × 3 with padding 1 keep the size, and pooling, which comes next, halves it. The "
            f"side of a CIFAR-10 image goes {way}.",
        )
    )
    return Chapter("Stride and padding", (*pages, end))


def _places(size: int, kernel: int, stride: int, padding: int, canvas: Canvas) -> list[Content]:
    """The image with its padding, the first window in it, and where windows begin."""
    whole = size + 2 * padding
    inside = range(padding, padding + size)
    cells = [
        ["o" if y in inside and x in inside else "0" for x in range(whole)] for y in range(whole)
    ]
    count = output_size(size, kernel, stride, padding)
    starts = range(0, count * stride, stride)
    marks = "".join(" v " if x in starts else "   " for x in range(whole))
    sums = f"({size} + 2·{padding} − {kernel}) / {stride} + 1 = {count}"
    legend = [
        Content(f"n = {size}, k = {kernel}, s = {stride}, p = {padding}"),
        Content.assemble(f"{sums}: a map of ", (f"{count} × {count}", "bold $primary")),
        Content(""),
        Content("o   pixels of the image"),
        *([Content("0   zeros around it")] if padding else []),
        Content("[ ] the first window"),
        Content("v   where windows begin"),
    ]
    first = cells_of(Cell(0, 0), Cell(kernel, kernel))
    return fitting([Content(marks), *grid(cells, first)], legend, canvas=canvas)


def relu_and_pooling_chapter() -> Chapter:
    """4: what is negative goes, what is near is put together."""
    rectified = [[relu(value) for value in row] for row in MAP]
    greatest, means = pool(rectified, 2, max), pool(rectified, 2, mean)
    first = Page(
        (
            "After a convolution, batch norm brings all maps to a common scale. Then comes ReLU: "
            "what is negative becomes 0, the rest stays. It is the bend in the network: without "
            "it, many layers could do no more than one.",
            lambda canvas: fitting(
                captioned(
                    "map", grid(MAP, {at for at in _cells(MAP) if MAP[at.row][at.column] < 0})
                ),
                captioned("after ReLU", grid(rectified)),
                canvas=canvas,
            ),
        )
    )
    text = (
        "Pooling keeps one number of every 2 × 2: the greatest (max pooling), or the mean (average "
        "pooling). The map has a quarter of its cells then, and an edge counts even if it has "
        "moved by a pixel."
    )
    places = [Cell(row, column) for row in (0, 2) for column in (0, 2)]
    pages = [
        Page((text, partial(_pooling, rectified, greatest, means, at, count + 1)))
        for count, at in enumerate(places)
    ]
    return Chapter("ReLU and pooling", (first, *pages))


def _cells(values: Grid) -> list[Cell]:
    return [Cell(y, x) for y, row in enumerate(values) for x in range(len(row))]


def _pooling(  # noqa: PLR0913, PLR0917 - what the figure shows
    values: Grid, greatest: Grid, means: Grid, at: Cell, count: int, canvas: Canvas
) -> list[Content]:
    made = Cell(at.row // 2, at.column // 2)
    seen = [values[at.row + y][at.column + x] for y in range(2) for x in range(2)]
    figure = fitting(
        captioned("after ReLU", grid(values, cells_of(at, Cell(2, 2)))),
        captioned("max", grid(filled(greatest, count), {made})),
        captioned("average", grid(filled(means, count), {made})),
        canvas=canvas,
    )
    numbers = ", ".join(map(number, seen))
    return [
        *figure,
        Content(""),
        Content(f"max({numbers}) = {number(max(seen))}"),
        Content(f"({' + '.join(map(number, seen))}) / {len(seen)} = {number(mean(seen))}"),
    ]
