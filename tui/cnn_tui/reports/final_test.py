"""The figures of a test, and of its classes, as tables in the shell."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from cnn_engine.results.metrics import Metrics, class_figures, metrics_of
from cnn_engine.runlog.events import EpochFinished, RunPrepared, TestFinished
from cnn_tui.charts.blocks import bar
from cnn_tui.text.metrics import (
    BIN_HEADINGS,
    CLASS_HEADINGS,
    bin_cells,
    class_cells,
    confused_pair_texts,
    filled_bins,
    metric_rows,
)
from cnn_tui.text.safe import safe_text

PAIRS = 5
"""Of the most confused classes."""


def class_table(counts: TestFinished | EpochFinished, classes: tuple[str, ...]) -> Table:
    """The figures of each class."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("class", no_wrap=True)
    table.add_column("", no_wrap=True)
    for heading in CLASS_HEADINGS:
        table.add_column(heading, justify="right", no_wrap=True)
    figures = class_figures(counts.correct, counts.total, counts.confusion)
    for name, of in zip(classes, figures, strict=False):
        share = of.accuracy.share or 0.0
        table.add_row(
            Text(safe_text(name, 20)),
            Text.assemble(*zip(bar(share, 12), ("bright_blue", "dim"), strict=True)),
            *class_cells(of),
        )
    return table


def final_test_report(test: TestFinished, prepared: RunPrepared | None) -> RenderableType:
    """The figures of a test, its reliability table and its commonest mistakes."""
    figures, classes = metrics_of(test, prepared), prepared.classes if prepared else ()
    rows = Table.grid(padding=(0, 2))
    for name, value, remark in metric_rows(figures, classes):
        rows.add_row(Text(name), Text(value, justify="right"), Text(remark, "dim"))
    parts: list[RenderableType] = [Text("\nTest"), rows]
    if figures.bins:
        parts += [Text("\nHow right, by how sure"), _reliability(figures)]
    if figures.confused and classes:
        parts += [Text("\nMost confused"), _pairs(figures, test, classes)]
    return Group(*parts)


def _reliability(figures: Metrics) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in BIN_HEADINGS:
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for row in filled_bins(figures):
        full = bar(row.rate.share or 0.0, 20)
        bars = Text.assemble(*zip(full, ("bright_blue", "dim"), strict=True))
        table.add_row(*bin_cells(row), bars)
    return table


def _pairs(figures: Metrics, test: TestFinished, classes: tuple[str, ...]) -> Table:
    table = Table.grid(padding=(0, 2))
    for row in confused_pair_texts(figures.confused[:PAIRS], test.total, classes, 20):
        table.add_row(
            Text(f"{row.target} called {row.predicted}"),
            Text(row.images),
            Text(row.fraction, "dim"),
        )
    return table
