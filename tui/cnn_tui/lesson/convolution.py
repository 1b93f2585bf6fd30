"""Chapters 1 to 4: images as numbers, convolution, stride and padding, ReLU and pooling."""

from collections.abc import Sequence
from functools import partial

from textual.content import Content

from cnn_tui.lesson.arithmetic import (
    Cell,
    Grid,
    convolve,
    mean,
    output_size,
    pair_with_weights,
    pool,
    relu,
    weighted_sum,
)
from cnn_tui.lesson.pages import (
    Canvas,
    Chapter,
    Page,
    compact_grid_lines,
    fit_blocks,
    format_factor,
    format_number,
    grid_lines,
    reveal,
    window_cells,
    with_caption,
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
"""A picture of 8 × 8 pixels: one hexadecimal digit per pixel, 0 black to f white."""

IMAGE = ((1, 2, 3), (4, 5, 6), (7, 8, 9))
FILTER = ((1, 1), (-1, -1))
"""A horizontal edge detector: positive weights above negative ones (the tutorial's example)."""

MAP = ((1, -3, 2, 0), (-2, 4, 1, 3), (5, 0, -1, -4), (2, 1, -2, -6))
"""A feature map for the ReLU and pooling pages."""


def image_chapter() -> Chapter:
    """Return chapter 1: an image as a grid of numbers."""
    grey = [[int(char, 16) * 17 for char in line] for line in SEVEN]
    side, values, pixels = len(grey), 32 * 32 * 3, (0, 51, 204, 255)
    return Chapter(
        "An image is a grid of numbers",
        (
            Page(
                (
                    "You see a seven. A computer stores a grid of numbers, one for each pixel: "
                    f"{min(map(min, grey))} is black, {max(map(max, grey))} is white. This image "
                    f"is {side} pixels high and {side} wide.",
                    partial(_picture_and_numbers, grey),
                    "None of these numbers says “seven”. A network learns from examples how to "
                    "recognise it.",
                )
            ),
            Page(
                (
                    "A colour image has three such grids, called channels: the red, the green "
                    "and the blue part of each pixel. An image of 32 × 32 pixels has 32 · 32 · 3 = "
                    f"{values:,} numbers.",
                    "Training is faster if the inputs are small and centred around 0. So the "
                    "pixels are normalised first: p becomes (p / 255 − 0.5) / 0.5. Examples:",
                    lambda _: grid_lines(
                        [
                            ["pixel", *pixels],
                            [
                                "normalised",
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
    return fit_blocks(drawn, compact_grid_lines(grey), canvas=canvas)


def convolution_chapter() -> Chapter:
    """Return chapter 2: a filter slides over an image."""
    feature_map = convolve(IMAGE, FILTER)
    across = len(feature_map[0])
    corners = [Cell(row, column) for row in range(len(feature_map)) for column in range(across)]
    intro = (
        "A filter is a small grid of numbers, its weights. It slides over the image like a window. "
        "At every position, each pixel is multiplied by the weight above it, and the products are "
        "added. The sums form a new grid, the feature map."
    )
    pages = [
        Page((intro, partial(_window, feature_map, corner, count + 1)))
        for count, corner in enumerate(corners)
    ]
    step = IMAGE[1][0] - IMAGE[0][0]
    end = Page(
        (
            partial(_window, feature_map, None, len(corners)),
            f"Every sum is {format_number(feature_map[0][0])}: from one row to the next this image "
            f"grows by {step}, in {len(FILTER[0])} columns, and the filter subtracts the lower row "
            "from the upper row. So it detects horizontal edges. On a uniform area it gives 0:",
            partial(_uniform_sum, 5),
            "Nobody designs the filters of a network: they start random, and training adjusts "
            "them.",
        )
    )
    return Chapter("Convolution by hand", (*pages, end))


def _window(feature_map: Grid, corner: Cell | None, count: int, canvas: Canvas) -> list[Content]:
    """Return image, filter, the first `count` cells of the map, and the sum at `corner`."""
    size = Cell(len(FILTER), len(FILTER[0]))
    figure = fit_blocks(
        with_caption("image", grid_lines(IMAGE, window_cells(corner, size) if corner else ())),
        with_caption("filter", grid_lines(FILTER)),
        with_caption("map", grid_lines(reveal(feature_map, count), {corner} if corner else ())),
        canvas=canvas,
    )
    if corner is None:
        return figure
    pairs = pair_with_weights(IMAGE, FILTER, corner)
    return [
        *figure,
        Content(""),
        Content(
            " + ".join(f"{format_number(pixel)}·{format_factor(weight)}" for pixel, weight in pairs)
        ),
        Content.assemble(
            f"  = {format_sum([pixel * weight for pixel, weight in pairs])} = ",
            (format_number(weighted_sum(pairs)), "bold $primary"),
        ),
    ]


def _uniform_sum(value: int, _canvas: Canvas) -> list[Content]:
    pairs = [(float(value), float(weight)) for row in FILTER for weight in row]
    terms = format_sum([pixel * weight for pixel, weight in pairs])
    return [Content(f"{terms} = {format_number(weighted_sum(pairs))}")]


def format_sum(terms: Sequence[float], digits: int = 4) -> str:
    """Return the terms as a sum: `1 + 2 − 4 − 5`."""
    first, *others = terms
    text = format_number(first, digits)
    for term in others:
        text += f" {'−' if term < 0 else '+'} {format_number(abs(term), digits)}"
    return text


def stride_and_padding_chapter() -> Chapter:
    """Return chapter 3: stride, padding and the size of the map."""
    size, kernel = 5, 3
    formula = (
        "The stride s is the number of pixels that the window moves at a time. The padding p is "
        "the number of zeros added on each side of the image. With a filter of k pixels, a side of "
        "n pixels gives a map of (n + 2·p − k) / s + 1, rounded down."
    )
    settings = (
        (1, 0, "Without padding the map is smaller than the image."),
        (2, 0, "Stride 2 skips every other position: a quarter of the work."),
        (1, 1, "With padding 1, a 3 × 3 filter keeps the size and covers the edge as well."),
        (2, 1, "Both together: half the size, rounded up."),
    )
    pages = [
        Page((formula, partial(_padded_image, size, kernel, stride, padding), text))
        for stride, padding, text in settings
    ]
    sides = [32]
    for _ in range(3):
        sides.append(output_size(output_size(sides[-1], 3, 1, 1), 2, 2))
    sizes = " → ".join(map(str, sides))
    end = Page(
        (
            "The default network of cnn-tui has three blocks. In each block, 3 × 3 filters with "
            "padding 1 keep the size, and pooling (next chapter) halves it. The side of a CIFAR-10 "
            f"image shrinks like this: {sizes}.",
        )
    )
    return Chapter("Stride and padding", (*pages, end))


def _padded_image(
    size: int, kernel: int, stride: int, padding: int, canvas: Canvas
) -> list[Content]:
    """Return the padded image with the first window and the first column of every window."""
    padded_size = size + 2 * padding
    inside = range(padding, padding + size)
    cells = [
        ["o" if y in inside and x in inside else "0" for x in range(padded_size)]
        for y in range(padded_size)
    ]
    count = output_size(size, kernel, stride, padding)
    starts = range(0, count * stride, stride)
    marks = "".join(" v " if x in starts else "   " for x in range(padded_size))
    sums = f"({size} + 2·{padding} − {kernel}) / {stride} + 1 = {count}"
    legend = [
        Content(f"n = {size}, k = {kernel}, s = {stride}, p = {padding}"),
        Content.assemble(f"{sums}: the map is ", (f"{count} × {count}", "bold $primary")),
        Content(""),
        Content("o   pixels"),
        *([Content("0   padding")] if padding else []),
        Content("[ ] the first window"),
        Content("v   first column of a window"),
    ]
    first = window_cells(Cell(0, 0), Cell(kernel, kernel))
    return fit_blocks([Content(marks), *grid_lines(cells, first)], legend, canvas=canvas)


def relu_and_pooling_chapter() -> Chapter:
    """Return chapter 4: ReLU and pooling."""
    rectified = [[relu(value) for value in row] for row in MAP]
    maxima, means = pool(rectified, 2, max), pool(rectified, 2, mean)
    first = Page(
        (
            "After the convolution, batch norm brings all maps to a common scale. Then ReLU sets "
            "negative values to 0 and keeps the others. It makes the network non-linear: without "
            "it, many layers could compute no more than a single one.",
            lambda canvas: fit_blocks(
                with_caption(
                    "map",
                    grid_lines(
                        MAP, {cell for cell in _cells(MAP) if MAP[cell.row][cell.column] < 0}
                    ),
                ),
                with_caption("after ReLU", grid_lines(rectified)),
                canvas=canvas,
            ),
        )
    )
    text = (
        "Pooling reduces every 2 × 2 window to one number: its maximum (max pooling) or its mean "
        "(average pooling). The map keeps a quarter of its cells, and a feature that moves by a "
        "pixel still gives nearly the same result."
    )
    corners = [Cell(row, column) for row in (0, 2) for column in (0, 2)]
    pages = [
        Page((text, partial(_pooling, rectified, maxima, means, corner, count + 1)))
        for count, corner in enumerate(corners)
    ]
    return Chapter("ReLU and pooling", (first, *pages))


def _cells(values: Grid) -> list[Cell]:
    return [Cell(y, x) for y, row in enumerate(values) for x in range(len(row))]


def _pooling(  # noqa: PLR0913, PLR0917 - all parts of the figure
    values: Grid, maxima: Grid, means: Grid, corner: Cell, count: int, canvas: Canvas
) -> list[Content]:
    target = Cell(corner.row // 2, corner.column // 2)
    pixels = [values[corner.row + y][corner.column + x] for y in range(2) for x in range(2)]
    figure = fit_blocks(
        with_caption("after ReLU", grid_lines(values, window_cells(corner, Cell(2, 2)))),
        with_caption("max", grid_lines(reveal(maxima, count), {target})),
        with_caption("average", grid_lines(reveal(means, count), {target})),
        canvas=canvas,
    )
    numbers = list(map(format_number, pixels))
    average = format_number(mean(pixels))
    return [
        *figure,
        Content(""),
        Content(f"max({', '.join(numbers)}) = {format_number(max(pixels))}"),
        Content(f"({' + '.join(numbers)}) / {len(pixels)} = {average}"),
    ]
