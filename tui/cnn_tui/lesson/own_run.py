"""Chapter 8: the same computation with a filter and an image of the user's own run."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from textual.content import Content

from cnn_engine.results.feature_maps import Filters, MapsFile
from cnn_engine.runs.directory import RunDirectory
from cnn_tui.lesson.arithmetic import (
    Cell,
    Grid,
    mean,
    output_size,
    pad,
    pair_with_weights,
    weighted_sum,
    window,
)
from cnn_tui.lesson.convolution import format_sum
from cnn_tui.lesson.pages import (
    Canvas,
    Chapter,
    Figure,
    Page,
    Parts,
    bar_lines,
    fit_blocks,
    format_decimals,
    format_number,
    grid_lines,
    with_caption,
)
from cnn_tui.pictures.half_blocks import Picture, draw_picture, fit_width
from cnn_tui.pictures.maps import draw_row, filter_pictures, image_picture, stage_pictures
from cnn_tui.text.safe import class_name, safe_text
from cnn_tui.text.shell import command_for, shell_command

TITLE = "On your own run"

MAX_SHOWN_KERNEL = 7
"""Largest side of a filter whose weights are shown as numbers."""

MAX_PRODUCTS = 2_000_000
"""Maximum multiplications computed in plain Python, about 0.2 s."""

LINES = 8
"""Height of a picture, in lines."""


@dataclass(frozen=True, kw_only=True)
class Example:
    """A run to explain, with its feature maps and class names."""

    run: RunDirectory
    maps: MapsFile
    classes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Response:
    """One filter of the first layer, and the window of an image it is applied to."""

    filters: Filters
    filter: int
    """Index of the filter."""

    corner: Cell
    """Upper left corner of the window in the padded image."""

    cell: Cell
    """Position of the result in the feature map."""

    patches: list[list[list[float]]]
    """Normalised pixels of the window: [channels][rows][columns]."""

    weights: list[list[list[float]]]
    """Weights of the filter: [channels][rows][columns]."""

    sums: list[float]
    """Sum of the products of each channel."""

    bias: float

    @property
    def value(self) -> float:
        """The value in the feature map: the sum over all channels plus the bias."""
        return sum(self.sums) + self.bias


def own_run_chapter(example: Example | None, problem: str) -> Chapter:
    """Return chapter 8: the numbers of a real run, or how to train one.

    Args:
        example: The run to explain; None if there is none.
        problem: Reason why an existing run cannot be explained; empty if there is no run.
    """
    filters = explainable_filters(example.maps) if example else None
    if example is None or filters is None:
        if example is not None:
            problem = "the first layer of this network is not a plain convolution of its images"
        return Chapter(TITLE, (Page(_instructions(problem)),))
    response = strongest_response(example.maps, filters)
    return Chapter(
        TITLE,
        (
            Page(_introduction(example, response)),
            Page(_computation(response)),
            Page(_feature_map(example, response)),
            Page(_prediction(example)),
        ),
    )


def explainable_filters(maps: MapsFile) -> Filters | None:
    """Return the first layer's filters; None if their result cannot be computed in the lesson.

    The file may be damaged, so all shapes are checked against each other and against limits.
    """
    header, filters = maps.header, maps.header.filters
    if filters is None or not header.samples or not header.stages:
        return None
    stage, (height, width, channels) = header.stages[0], header.image
    count, depth, down, across = filters.shape
    stride, padding = filters.stride[0], filters.padding[0]
    sizes = tuple(output_size(side, down, stride, padding) for side in header.full_size)
    fits = (
        stage.name == filters.layer
        and stage.shape[0] <= count
        and depth == channels
        and down == across
        and filters.stride == (stride, stride)
        and filters.padding == (padding, padding)
        and padding < down <= min(height, width)
        and sizes == stage.full_size
        and all(len(values) in (1, channels) for values in (header.mean, header.std))
        and all(header.std)
    )
    return filters if fits and height * width * channels * down * across <= MAX_PRODUCTS else None


def _instructions(problem: str) -> Parts:
    return (
        *((f"There is nothing to show: {safe_text(problem, 500)}",) if problem else ()),
        "This chapter explains a filter and an image of your own network, once you have trained "
        "one. This command trains one in less than a minute, on the bundled digits:",
        shell_command("run", "digits"),
        f"Then run: {shell_command('explain')}",
    )


def normalized_channels(maps: MapsFile, sample: int) -> list[list[list[float]]]:
    """Return a sample image, normalised: [channels][rows][columns]."""
    height, width, channels = maps.header.image
    pixels = maps.image(sample)
    means, stds = (
        values * channels if len(values) == 1 else values
        for values in (maps.header.mean, maps.header.std)
    )
    return [
        [
            [
                (pixels[(y * width + x) * channels + channel] / 255 - means[channel])
                / stds[channel]
                for x in range(width)
            ]
            for y in range(height)
        ]
        for channel in range(channels)
    ]


def filter_weights(maps: MapsFile, filters: Filters, index: int) -> list[list[list[float]]]:
    """Return the weights of one filter: [channels][rows][columns]."""
    _, channels, height, width = filters.shape
    values = maps.filter_values()
    first = index * channels * height * width
    return [
        [list(values[first + (channel * height + y) * width :][:width]) for y in range(height)]
        for channel in range(channels)
    ]


def strongest_response(maps: MapsFile, filters: Filters, sample: int = 0) -> Response:
    """Return the filter with the largest value at the window with the most contrast."""
    padding, stride = filters.padding[0], filters.stride[0]
    padded_channels = [pad(plane, padding) for plane in normalized_channels(maps, sample)]
    side = filters.shape[2]
    cell = _max_contrast_cell(padded_channels, filters)
    corner = Cell(cell.row * stride, cell.column * stride)
    responses = []
    for index in range(maps.header.stages[0].shape[0]):
        weights = filter_weights(maps, filters, index)
        responses.append(
            Response(
                filters=filters,
                filter=index,
                corner=corner,
                cell=cell,
                patches=[
                    [row[corner.column :][:side] for row in plane[corner.row :][:side]]
                    for plane in padded_channels
                ],
                weights=weights,
                sums=[
                    weighted_sum(pair_with_weights(plane, kernel, corner))
                    for plane, kernel in zip(padded_channels, weights, strict=True)
                ],
                bias=maps.biases()[index],
            )
        )
    return max(responses, key=lambda response: response.value)


def _max_contrast_cell(padded_channels: Sequence[Grid], filters: Filters) -> Cell:
    """Return the map cell of the window without padding whose pixels vary most."""
    side, stride, padding = filters.shape[2], filters.stride[0], filters.padding[0]
    first = -(-padding // stride)

    def contrast(cell: Cell) -> float:
        corner, kernel = Cell(cell.row * stride, cell.column * stride), Cell(side, side)
        return sum(_squared_deviation(window(plane, kernel, corner)) for plane in padded_channels)

    last_row = (len(padded_channels[0]) - padding - side) // stride
    last_column = (len(padded_channels[0][0]) - padding - side) // stride
    cells = [
        Cell(row, column)
        for row in range(first, last_row + 1)
        for column in range(first, last_column + 1)
    ]
    return max(cells, key=contrast, default=Cell(0, 0))


def _squared_deviation(values: Sequence[float]) -> float:
    """Return the sum of squared differences from the mean."""
    middle = mean(values)
    return sum((value - middle) * (value - middle) for value in values)


def is_exact(maps: MapsFile) -> bool:
    """Return True if image and map are stored at full size, so that the map contains the sum."""
    header = maps.header
    return (
        header.image[:2] == header.full_size
        and header.stages[0].shape[1:] == header.stages[0].full_size
    )


def _introduction(example: Example, response: Response) -> Parts:
    maps = example.maps
    filters, header = response.filters, maps.header
    size = " × ".join(map(str, filters.shape[2:])) + " weights"
    if filters.shape[1] > 1:
        size += f" for each of {filters.shape[1]} channels"
    sample = header.samples[0]
    moment, origin = f"after epoch {header.epoch}", "were random at first and have been trained"
    if not header.epoch:
        moment, origin = "before training", "are still random"
    return (
        f"Run {safe_text(example.run.id)}, {moment}. The image was not used for training "
        f"({safe_text(sample.name, 60)}: {_name(example, sample.label)}). Next to it is filter "
        f"{response.filter + 1} of {filters.total} of the first layer: {size}; white is the "
        f"largest and black the smallest weight of all filters. The weights {origin}.",
        lambda canvas: _image_and_filter(maps, response, canvas),
        "The next page takes the window of the image with the most contrast. Of all filters, this "
        "one gives the largest value there.",
    )


def _image_and_filter(maps: MapsFile, response: Response, canvas: Canvas) -> list[Content]:
    picture = image_picture(maps, 0)
    columns = fit_width(picture, canvas.width // 2, LINES)
    image = [
        Content.assemble(*row) for row in draw_picture(picture, columns, colors=canvas.pictures)
    ]
    weights = draw_row([filter_pictures(maps)[response.filter]], 12, colors=canvas.pictures)
    return fit_blocks(with_caption("image", image), with_caption("filter", weights), canvas=canvas)


def _computation(response: Response) -> Parts:
    height, width = len(response.weights[0]), len(response.weights[0][0])
    channels = len(response.weights)
    names = ("red", "green", "blue") if channels == 3 else ("grey",)
    position = f"row {response.corner.row + 1}, column {response.corner.column + 1}"
    padded_image = ", padding included" if response.filters.padding[0] else ""
    parts: list[str | Figure] = [
        f"The window is at {position} of the image{padded_image}. Normalised pixels, weights, and "
        "the sum of their products:"
    ]
    if max(height, width) <= MAX_SHOWN_KERNEL:
        parts.append(partial(_patches, response, names))
    terms = [*response.sums, response.bias]
    total = format_number(response.value)
    parts.append(
        lambda _: [
            Content.assemble(
                f"channels and bias: {format_sum(terms, 3)} = ", (total, "bold $primary")
            )
        ]
    )
    return tuple(parts)


def _patches(response: Response, names: tuple[str, ...], canvas: Canvas) -> list[Content]:
    lines: list[Content] = []
    for index, (patch, kernel) in enumerate(zip(response.patches, response.weights, strict=True)):
        name = names[index] if index < len(names) else f"channel {index + 1}"
        row = fit_blocks(
            with_caption(name, grid_lines([list(map(format_decimals, row)) for row in patch])),
            with_caption(
                "weights", grid_lines([list(map(format_decimals, row)) for row in kernel])
            ),
            with_caption(
                "sum", [Content.styled(format_number(response.sums[index], 3), "bold $primary")]
            ),
            canvas=canvas,
        )
        lines += [*row, Content("")]
    return lines[:-1]


def _feature_map(example: Example, response: Response) -> Parts:
    maps = example.maps
    stage, sample = maps.header.stages[0], maps.header.samples[0]
    cell = response.cell
    parts: list[str | Figure] = [
        f"This value is stored at row {cell.row + 1}, column {cell.column + 1} of the filter's "
        "feature map. The other cells hold the sums of the other windows. The whole map:",
        partial(_map_figure, maps, response),
    ]
    if not is_exact(maps):
        parts.append(
            "Image and map are stored at reduced size, so this sum differs from the value that the "
            "network computes at full size."
        )
        return tuple(parts)
    step = (sample.highs[0] - sample.lows[0]) / 255
    _, height, width = stage.shape
    level = maps.maps(0, 0)[(response.filter * height + cell.row) * width + cell.column]
    stored = sample.lows[0] + level * step
    parts.append(
        f"The network itself computed {format_number(stored)}; by hand it was "
        f"{format_number(response.value)}. Small differences come from the map, stored in 256 "
        f"levels {format_number(step, 2)} apart, and from the lower precision of the network."
    )
    return tuple(parts)


def _map_figure(maps: MapsFile, response: Response, canvas: Canvas) -> list[Content]:
    picture: Picture = stage_pictures(maps, 0, 0)[response.filter]
    image = image_picture(maps, 0)
    columns = fit_width(picture, canvas.width // 2 - 2, LINES)
    drawn = [
        [Content.assemble(*row) for row in draw_picture(shown, columns, colors=canvas.pictures)]
        for shown in (image, picture)
    ]
    return fit_blocks(
        with_caption("image", drawn[0]), with_caption("feature map", drawn[1]), canvas=canvas
    )


def _prediction(example: Example) -> Parts:
    sample = example.maps.header.samples[0]
    names = [_name(example, index) for index in sample.top_classes]
    verdict = "Correct." if sample.is_correct else f"Wrong: it is {_name(example, sample.label)}."
    return (
        "The rest works as in the earlier chapters: further blocks compute maps of maps, linear "
        "layers compute logits, and softmax turns them into probabilities. The prediction:",
        partial(bar_lines, names, sample.probabilities),
        verdict,
        "The Model view shows all filters and maps of this run, for more images: "
        f"{command_for('watch', example.run)}, then press 4.",
    )


def _name(example: Example, index: int) -> str:
    return class_name(example.classes, index, 20)
