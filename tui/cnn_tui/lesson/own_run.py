"""Chapter 8: the same on a filter and an image of a run of one's own."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from textual.content import Content

from cnn_engine.results.feature_maps import Filters, Maps
from cnn_engine.runs.directory import RunDirectory
from cnn_tui.lesson.arithmetic import (
    Cell,
    Grid,
    mean,
    output_size,
    padded,
    products,
    weighted_sum,
    window,
)
from cnn_tui.lesson.pages import (
    Canvas,
    Chapter,
    Figure,
    Page,
    Parts,
    bar_lines,
    captioned,
    decimals,
    fitting,
    grid,
    number,
)
from cnn_tui.lesson.seeing import signed_sum
from cnn_tui.pictures.half_blocks import Picture, draw_picture, fit_width
from cnn_tui.pictures.maps import draw_row, filter_pictures, image_picture, stage_pictures
from cnn_tui.text.safe import safe_text
from cnn_tui.text.shell import command_for

TITLE = "On your own run"

LARGEST_SHOWN = 7
"""Side of a filter whose numbers are written out."""

MOST_PRODUCTS = 2_000_000
"""Multiplications that are done in plain Python, which takes a fifth of a second."""

LINES = 8
"""Lines for a picture."""


@dataclass(frozen=True, kw_only=True)
class Example:
    """A run to explain: what it keeps for people to look at, and what its classes are called."""

    run: RunDirectory
    maps: Maps
    classes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Response:
    """One filter of the first layer, and the place of an image where it responds most."""

    filters: Filters
    filter: int
    """Which of them."""

    at: Cell
    """Upper left corner of the window, in the image with its padding."""

    cell: Cell
    """Where it lands in the map."""

    patches: list[list[list[float]]]
    """What the filter sees there: [channels][rows][columns], as the network sees pixels."""

    weights: list[list[list[float]]]
    """The filter: [channels][rows][columns]."""

    sums: list[float]
    """Products added up, for each channel."""

    bias: float

    @property
    def value(self) -> float:
        """What the filter makes of it."""
        return sum(self.sums) + self.bias


def own_run_chapter(example: Example | None, trouble: str) -> Chapter:
    """8: real numbers; or how to have some.

    Args:
        example: The run; None where there is none to show.
        trouble: Why there is none, if it is not for want of a run.
    """
    filters = shown_filters(example.maps) if example else None
    if example is None or filters is None:
        if example is not None:
            trouble = "the first layer of this network is no plain convolution of its images"
        return Chapter(TITLE, (Page(_what_to_do(trouble)),))
    response = strongest_response(example.maps, filters)
    return Chapter(
        TITLE,
        (
            Page(_meet(example, response)),
            Page(_by_hand(response)),
            Page(_where_it_lands(example, response)),
            Page(_answer(example)),
        ),
    )


def shown_filters(maps: Maps) -> Filters | None:
    """The first filters, if what they make of a sample can be computed here and found in its map.

    Nothing in the file is taken on trust: its parts have to fit each other, and to be small.
    """
    header, filters = maps.header, maps.header.filters
    if filters is None or not header.samples or not header.stages:
        return None
    stage, (height, width, channels) = header.stages[0], header.image
    count, depth, down, across = filters.shape
    stride, padding = filters.stride[0], filters.padding[0]
    sizes = tuple(output_size(side, down, stride, padding) for side in header.whole)
    fits = (
        stage.name == filters.layer
        and stage.shape[0] <= count
        and depth == channels
        and down == across
        and filters.stride == (stride, stride)
        and filters.padding == (padding, padding)
        and padding < down <= min(height, width)
        and sizes == stage.whole
        and all(len(values) in (1, channels) for values in (header.mean, header.std))
        and all(header.std)
    )
    return filters if fits and height * width * channels * down * across <= MOST_PRODUCTS else None


def _what_to_do(trouble: str) -> Parts:
    return (
        *((f"There is nothing to show: {safe_text(trouble, 500)}",) if trouble else ()),
        "Here stands the same with the filters and an image of a network of your own, as soon as "
        "there is one. This trains one in less than a minute, on digits that come with cnn-tui:",
        "cnn-tui run digits",
        "Then come back with: cnn-tui explain",
    )


def planes_of(maps: Maps, sample: int) -> list[list[list[float]]]:
    """A sample image as the network sees it: [channels][rows][columns], normalised."""
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


def weights_of(maps: Maps, filters: Filters, index: int) -> list[list[list[float]]]:
    """A filter: [channels][rows][columns]."""
    _, channels, height, width = filters.shape
    values = maps.filter_values()
    first = index * channels * height * width
    return [
        [list(values[first + (channel * height + y) * width :][:width]) for y in range(height)]
        for channel in range(channels)
    ]


def strongest_response(maps: Maps, filters: Filters, sample: int = 0) -> Response:
    """Where a sample image changes most from pixel to pixel, the filter that makes most of it."""
    padding, stride = filters.padding[0], filters.stride[0]
    framed = [padded(plane, padding) for plane in planes_of(maps, sample)]
    side = filters.shape[2]
    cell = _busiest(framed, filters)
    at = Cell(cell.row * stride, cell.column * stride)
    responses = []
    for index in range(maps.header.stages[0].shape[0]):
        weights = weights_of(maps, filters, index)
        responses.append(
            Response(
                filters=filters,
                filter=index,
                at=at,
                cell=cell,
                patches=[
                    [row[at.column :][:side] for row in plane[at.row :][:side]] for plane in framed
                ],
                weights=weights,
                sums=[
                    weighted_sum(products(plane, kernel, at))
                    for plane, kernel in zip(framed, weights, strict=True)
                ],
                bias=maps.biases()[index],
            )
        )
    return max(responses, key=lambda response: response.value)


def _busiest(framed: Sequence[Grid], filters: Filters) -> Cell:
    """The place, in the map, of the window with no padding in it whose pixels differ most."""
    side, stride, padding = filters.shape[2], filters.stride[0], filters.padding[0]
    first = -(-padding // stride)

    def differences(cell: Cell) -> float:
        at, kernel = Cell(cell.row * stride, cell.column * stride), Cell(side, side)
        return sum(_spread(window(plane, kernel, at)) for plane in framed)

    last_row = (len(framed[0]) - padding - side) // stride
    last_column = (len(framed[0][0]) - padding - side) // stride
    places = [
        Cell(row, column)
        for row in range(first, last_row + 1)
        for column in range(first, last_column + 1)
    ]
    return max(places, key=differences, default=Cell(0, 0))


def _spread(values: Sequence[float]) -> float:
    """Squares of the distances from their mean, added up."""
    middle = mean(values)
    return sum((value - middle) * (value - middle) for value in values)


def is_exact(maps: Maps) -> bool:
    """Whether image and map are kept pixel by pixel, so that the sum is found in the map."""
    header = maps.header
    return header.image[:2] == header.whole and header.stages[0].shape[1:] == header.stages[0].whole


def _meet(example: Example, response: Response) -> Parts:
    maps = example.maps
    filters, header = response.filters, maps.header
    size = " × ".join(map(str, filters.shape[2:])) + " weights"
    if filters.shape[1] > 1:
        size += f" for each of {filters.shape[1]} channels"
    sample = header.samples[0]
    when, past = f"after epoch {header.epoch}", "were random once; the run has learned them"
    if not header.epoch:
        when, past = "before training", "are random still; the run will change them"
    return (
        f"Run {safe_text(example.run.id)}, {when}. The image is one that it did not learn from "
        f"({safe_text(sample.name, 60)}: {_name(example, sample.label)}). Beside it is filter "
        f"{response.filter + 1} of {filters.of} of the first layer: {size}, white for the "
        f"greatest, black for the least of all filters. They {past}.",
        lambda canvas: _image_and_filter(maps, response, canvas),
        "We look at the place where the image changes most from pixel to pixel, and this filter "
        "is the one that makes most of it.",
    )


def _image_and_filter(maps: Maps, response: Response, canvas: Canvas) -> list[Content]:
    picture = image_picture(maps, 0)
    columns = fit_width(picture, canvas.width // 2, LINES)
    image = [
        Content.assemble(*row) for row in draw_picture(picture, columns, colors=canvas.pictures)
    ]
    weights = draw_row([filter_pictures(maps)[response.filter]], 12, colors=canvas.pictures)
    return fitting(captioned("image", image), captioned("filter", weights), canvas=canvas)


def _by_hand(response: Response) -> Parts:
    height, width = len(response.weights[0]), len(response.weights[0][0])
    channels = len(response.weights)
    names = ("red", "green", "blue") if channels == 3 else ("grey",)
    place = f"row {response.at.row + 1}, column {response.at.column + 1}"
    inside = ", counted with the padding" if response.filters.padding[0] else ""
    parts: list[str | Figure] = [
        f"The window stands at {place} of the image{inside}. Pixels as the network sees them, "
        "weights, and what they add up to when each is multiplied by the other:"
    ]
    if max(height, width) <= LARGEST_SHOWN:
        parts.append(partial(_patches, response, names))
    terms = [*response.sums, response.bias]
    total = number(response.value)
    parts.append(
        lambda _: [
            Content.assemble(
                f"channels and bias: {signed_sum(terms, 3)} = ", (total, "bold $primary")
            )
        ]
    )
    return tuple(parts)


def _patches(response: Response, names: tuple[str, ...], canvas: Canvas) -> list[Content]:
    lines: list[Content] = []
    for index, (patch, kernel) in enumerate(zip(response.patches, response.weights, strict=True)):
        name = names[index] if index < len(names) else f"channel {index + 1}"
        row = fitting(
            captioned(name, grid([list(map(decimals, row)) for row in patch])),
            captioned("weights", grid([list(map(decimals, row)) for row in kernel])),
            captioned("sum", [Content.styled(number(response.sums[index], 3), "bold $primary")]),
            canvas=canvas,
        )
        lines += [*row, Content("")]
    return lines[:-1]


def _where_it_lands(example: Example, response: Response) -> Parts:
    maps = example.maps
    stage, sample = maps.header.stages[0], maps.header.samples[0]
    cell = response.cell
    parts: list[str | Figure] = [
        f"That number goes to row {cell.row + 1}, column {cell.column + 1} of the filter's feature "
        "map, and so does the window's sum at every other place. The whole map of this filter:",
        partial(_map, maps, response),
    ]
    if not is_exact(maps):
        parts.append(
            "Image and map are kept smaller than they are, so this sum is of the smaller image, "
            "and not quite one of the network's own."
        )
        return tuple(parts)
    step = (sample.highs[0] - sample.lows[0]) / 255
    _, height, width = stage.shape
    level = maps.maps(0, 0)[(response.filter * height + cell.row) * width + cell.column]
    kept = sample.lows[0] + level * step
    parts.append(
        f"The network itself has {number(kept)} there, by hand it was {number(response.value)}. "
        f"The map is kept in 256 shades, each {number(step, 2)} apart, and the network computes "
        "with fewer digits than you."
    )
    return tuple(parts)


def _map(maps: Maps, response: Response, canvas: Canvas) -> list[Content]:
    picture: Picture = stage_pictures(maps, 0, 0)[response.filter]
    image = image_picture(maps, 0)
    columns = fit_width(picture, canvas.width // 2 - 2, LINES)
    drawn = [
        [Content.assemble(*row) for row in draw_picture(each, columns, colors=canvas.pictures)]
        for each in (image, picture)
    ]
    return fitting(captioned("image", drawn[0]), captioned("feature map", drawn[1]), canvas=canvas)


def _answer(example: Example) -> Parts:
    sample = example.maps.header.samples[0]
    names = [_name(example, answer) for answer in sample.answers]
    verdict = "That is right." if sample.is_right else f"It is a {_name(example, sample.label)}."
    return (
        "From there it goes on as on the pages before: further blocks make maps of maps, dense "
        "layers make scores of them, and softmax makes shares. The network's answer:",
        partial(bar_lines, names, sample.shares),
        verdict,
        "All filters and maps of this run, and more of its images, are in its Model view: "
        f"{command_for('watch', example.run)}, then 4.",
    )


def _name(example: Example, index: int) -> str:
    classes = example.classes
    return safe_text(classes[index], 20) if index < len(classes) else f"class {index + 1}"
