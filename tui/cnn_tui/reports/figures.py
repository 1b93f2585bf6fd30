"""The figures of a test, and of its classes, as tables in the shell."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from cnn_engine.events import EpochFinished, RunPrepared, TestFinished
from cnn_engine.metrics import Figures, class_figures, figures_of
from cnn_tui.figure_texts import confidence_text, figure_rows, interval_text, share_text
from cnn_tui.format import bar, figure, percent, ratio, safe_text

PAIRS = 5
"""Of the most confused classes."""


def class_table(counts: TestFinished | EpochFinished, classes: tuple[str, ...]) -> Table:
    """The figures of each class."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("class", no_wrap=True)
    table.add_column("", no_wrap=True)
    for heading in ("accuracy", "95% interval", "images", "precision", "F1"):
        table.add_column(heading, justify="right", no_wrap=True)
    figures = class_figures(counts.correct, counts.total, counts.confusion)
    for name, of in zip(classes, figures, strict=False):
        share = of.accuracy.share or 0.0
        table.add_row(
            Text(safe_text(name, 20)),
            Text.assemble(*zip(bar(share, 12), ("bright_blue", "dim"), strict=True)),
            share_text(of.accuracy),
            interval_text(of.accuracy, 1),
            f"{of.accuracy.right:,}/{of.accuracy.images:,}",
            figure(of.precision, 3),
            figure(of.f1, 3),
        )
    return table


def report_of_test(test: TestFinished, prepared: RunPrepared | None) -> RenderableType:
    """The figures of a test, its reliability table and its commonest mistakes."""
    figures, classes = figures_of(test, prepared), prepared.classes if prepared else ()
    rows = Table.grid(padding=(0, 2))
    for name, value, remark in figure_rows(figures, classes):
        rows.add_row(Text(name), Text(value, justify="right"), Text(remark, "dim"))
    parts: list[RenderableType] = [Text("\nTest"), rows]
    if figures.bins:
        parts += [Text("\nHow right, by how sure"), _reliability(figures)]
    if figures.confused and classes:
        parts += [Text("\nMost confused"), _pairs(figures, test, classes)]
    return Group(*parts)


def _reliability(figures: Figures) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("confidence", "images", "on average", "right"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for row in reversed(figures.bins):
        if row.rate.images > 0:
            full = bar(row.rate.share or 0.0, 20)
            table.add_row(
                confidence_text(row),
                f"{row.rate.images:,}",
                percent(row.mean_confidence or 0.0),
                percent(row.rate.share or 0.0),
                Text.assemble(*zip(full, ("bright_blue", "dim"), strict=True)),
            )
    return table


def _pairs(figures: Figures, test: TestFinished, classes: tuple[str, ...]) -> Table:
    table = Table.grid(padding=(0, 2))
    for truth, predicted, images in figures.confused[:PAIRS]:
        if truth < len(classes) and predicted < len(classes):
            names = [safe_text(classes[index], 20) for index in (truth, predicted)]
            share = percent(ratio(images, test.total[truth]))
            table.add_row(
                Text(f"{names[0]} called {names[1]}"), Text(f"{images:,}"), Text(share, "dim")
            )
    return table
