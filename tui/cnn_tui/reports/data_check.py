"""The report of `cnn-tui data check`: classes, image properties, pictures and problems."""

from collections import Counter
from collections.abc import Iterable

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from cnn_engine.data.checks.check import CheckedFolder
from cnn_engine.data.checks.issue import Issue
from cnn_engine.data.decode import Unreadable, decode
from cnn_engine.data.sizes import evenly
from cnn_tui.charts.blocks import bar
from cnn_tui.pictures.colors import to_256_colors
from cnn_tui.pictures.half_blocks import Picture, PictureRow, draw_picture
from cnn_tui.reports.console import has_colors
from cnn_tui.text.numbers import percent, ratio
from cnn_tui.text.safe import escaped, safe_text

MAX_CLASSES = 40
"""Classes listed; of more, the smallest and the largest."""

MAX_SAMPLE_CLASSES = 12
"""Classes shown with pictures; of more, an even selection."""

MAX_PICTURES = 10
"""Pictures per class."""

PICTURE_COLUMNS = 12
"""Width of a picture in cells; its height is half as many lines."""

MAX_FILES = 5
"""Files listed per issue."""

BAR_COLUMNS = 24

MARKS = {"stop": ("✗", "bold red"), "warning": ("!", "yellow"), "note": ("·", "dim")}
"""Glyph and style of an issue, by severity."""

MODE_NAMES = {
    "1": "black and white",
    "L": "grey",
    "LA": "grey, transparent",
    "I;16": "grey, 16 bits",
    "P": "palette",
    "RGB": "colour",
    "RGBA": "colour, transparent",
    "CMYK": "CMYK",
}
"""Names of Pillow's image modes."""

HEADINGS = {"stop": "Errors", "warning": "Warnings", "note": "Notes"}


def print_checked(console: Console, checked: CheckedFolder, issues: list[Issue]) -> None:
    """Print the whole report."""
    _print_totals(console, checked)
    _print_classes(console, checked)
    console.print()
    _print_facts(console, checked)
    if console.is_terminal:
        _print_samples(console, checked)
    _print_issues(console, issues)


def _print_totals(console: Console, checked: CheckedFolder) -> None:
    count, classes = len(checked.infos), len(checked.listing.classes)
    name = escaped(str(checked.listing.root), 500)
    console.print(Text.assemble((name, "bold"), f"  {count:,} image files in {classes:,} classes"))
    console.print()


def _print_classes(console: Console, checked: CheckedFolder) -> None:
    counts = [checked.counts(part) for part in checked.given]
    train = counts[0]
    order = list(range(len(train)))
    if len(train) > MAX_CLASSES:
        by_count = sorted(order, key=train.__getitem__)
        half = MAX_CLASSES // 2
        order = sorted({*by_count[:half], *by_count[-half:]})
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("class", max_width=40, no_wrap=True)
    for part in checked.given if len(checked.given) > 1 else ("images",):
        table.add_column(part, justify="right")
    table.add_column("", no_wrap=True)
    largest = max(train)
    for label in order:
        cells = [Text(safe_text(checked.listing.classes[label], 40))]
        cells += [Text(f"{per_class[label]:,}") for per_class in counts]
        done, rest = bar(ratio(train[label], largest), BAR_COLUMNS)
        table.add_row(*cells, Text.assemble((done, "cyan"), (rest, "dim")))
    console.print(table)
    if len(train) > len(order):
        console.print(
            Text(f"… and {len(train) - len(order):,} more classes of intermediate size", "dim")
        )


def _print_facts(console: Console, checked: CheckedFolder) -> None:
    infos = [info for _, info in checked.readable()]
    if not infos:
        return
    by_area = sorted((info[:2] for info in infos), key=lambda size: size[0] * size[1])
    smallest, median, largest = by_area[0], by_area[len(by_area) // 2], by_area[-1]
    ratios = sorted(info.width / info.height for info in infos)
    sizes = f"{_size(smallest)} to {_size(largest)} pixels, median {_size(median)}"
    facts = {
        "sizes": f"all {_size(largest)} pixels" if set(by_area) == {largest} else sizes,
        "aspect ratios": _range(*map(_aspect, (ratios[0], ratios[-1]))),
        "formats": _fractions(info.format for info in infos),
        "colour modes": _fractions(MODE_NAMES.get(info.mode, info.mode) for info in infos),
        "training size": checked.size_reason
        or f"unchanged, {checked.side} × {checked.side} pixels",
    }
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    for name, text in facts.items():
        table.add_row(name, Text(text))
    console.print(table)


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]:,} × {size[1]:,}"


def _aspect(width: float) -> str:
    """Return the ratio of width to height, such as `1.33:1` or `1:667`."""
    longer = max(width, 1 / width)
    text = f"{longer:,.0f}" if longer >= 10 else f"{longer:.3g}"
    return f"{text}:1" if width >= 1 else f"1:{text}"


def _range(low: str, high: str) -> str:
    return f"width:height from {low} to {high}" if low != high else f"all {low}, width:height"


def _fractions(names: Iterable[str]) -> str:
    counts = Counter(names)
    return ", ".join(
        f"{name} {count:,} ({percent(count / counts.total())})"
        for name, count in counts.most_common()
    )


def _print_samples(console: Console, checked: CheckedFolder) -> None:
    """Print a row of sample pictures for each class."""
    colors = has_colors(console)
    count = min(MAX_PICTURES, max(1, (console.width + 1) // (PICTURE_COLUMNS + 1)))
    by_class: dict[int, list[int]] = {}
    for position, _ in checked.readable():
        by_class.setdefault(checked.listing.files[position].label, []).append(position)
    labels = [list(by_class)[index] for index in evenly(len(by_class), MAX_SAMPLE_CLASSES)]
    for label in labels:
        positions = [by_class[label][index] for index in evenly(len(by_class[label]), count)]
        console.print()
        console.print(Text(safe_text(checked.listing.classes[label], console.width), "bold"))
        rows = _side_by_side([_picture(checked, position, colors) for position in positions])
        for line in to_256_colors(rows) if console.color_system == "256" else rows:
            console.print(Text.assemble(*line), no_wrap=True, overflow="crop", crop=True)
    if len(by_class) > len(labels):
        console.print(Text(f"… and {len(by_class) - len(labels):,} more classes", "dim"))


def _picture(checked: CheckedFolder, position: int, colors: bool) -> list[PictureRow]:
    side = 2 * PICTURE_COLUMNS
    try:
        pixels = decode(checked.listing.files[position].path, side, 3)
    except Unreadable:  # readable during the check
        return [[(" " * PICTURE_COLUMNS, "")] for _ in range(PICTURE_COLUMNS // 2)]
    picture = Picture(pixels=pixels.tobytes(), width=side, height=side, channels=3)
    return draw_picture(picture, PICTURE_COLUMNS, colors=colors)


def _side_by_side(pictures: list[list[PictureRow]]) -> list[PictureRow]:
    lines = []
    for rows in zip(*pictures, strict=True):
        line: PictureRow = []
        for row in rows:
            line += [*row, (" ", "")]
        lines.append(line)
    return lines


def _print_issues(console: Console, issues: list[Issue]) -> None:
    if not issues:
        console.print(Text("\nNo problems found.", "green"))
    for severity, heading in HEADINGS.items():
        if matching := [issue for issue in issues if issue.severity == severity]:
            console.print(Text(f"\n{heading}", "bold"))
        for issue in matching:
            _print_issue(console, issue)


def _print_issue(console: Console, issue: Issue) -> None:
    mark, style = MARKS[issue.severity]
    head = Table.grid(padding=(0, 1))
    head.add_row(Text(f" {mark}", style), Text(safe_text(issue.text, 1000)))
    console.print(head)
    if issue.advice:
        console.print(Padding(Text(issue.advice, "italic"), (0, 0, 0, 3)))
    for file in issue.files[:MAX_FILES]:
        console.print(Padding(Text(escaped(file, 300), "dim"), (0, 0, 0, 5)))
    if (more := len(issue.files) - MAX_FILES) > 0:
        console.print(Text(f"     … and {more:,} more; --json lists all", "dim"))
