"""Metrics of a final test and of its classes as tables."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from cnn_engine.results.metrics import Metrics, class_metrics, metrics_of
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

MAX_PAIRS = 5
"""Confused pairs shown."""


def class_table(counts: TestFinished | EpochFinished, classes: tuple[str, ...]) -> Table:
    """Return a table of the metrics of each class."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("class", no_wrap=True)
    table.add_column("", no_wrap=True)
    for heading in CLASS_HEADINGS:
        table.add_column(heading, justify="right", no_wrap=True)
    metrics = class_metrics(counts.correct, counts.total, counts.confusion)
    for name, class_result in zip(classes, metrics, strict=False):
        recall = class_result.accuracy.fraction or 0.0
        table.add_row(
            Text(safe_text(name, 20)),
            Text.assemble(*zip(bar(recall, 12), ("bright_blue", "dim"), strict=True)),
            *class_cells(class_result),
        )
    return table


def final_test_report(test: TestFinished, prepared: RunPrepared | None) -> RenderableType:
    """Return the metrics of a test, its calibration table and its most confused pairs."""
    metrics, classes = metrics_of(test, prepared), prepared.classes if prepared else ()
    rows = Table.grid(padding=(0, 2))
    for name, value, remark in metric_rows(metrics, classes):
        rows.add_row(Text(name), Text(value, justify="right"), Text(remark, "dim"))
    parts: list[RenderableType] = [Text("\nTest"), rows]
    if metrics.bins:
        parts += [Text("\nCalibration"), _reliability(metrics)]
    if metrics.confused_pairs and classes:
        parts += [Text("\nMost confused (true → predicted)"), _pairs(metrics, test, classes)]
    return Group(*parts)


def _reliability(metrics: Metrics) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in BIN_HEADINGS:
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for row in filled_bins(metrics):
        accuracy = bar(row.rate.fraction or 0.0, 20)
        styled = Text.assemble(*zip(accuracy, ("bright_blue", "dim"), strict=True))
        table.add_row(*bin_cells(row), styled)
    return table


def _pairs(metrics: Metrics, test: TestFinished, classes: tuple[str, ...]) -> Table:
    table = Table.grid(padding=(0, 2))
    for row in confused_pair_texts(metrics.confused_pairs[:MAX_PAIRS], test.total, classes, 20):
        table.add_row(
            Text(f"{row.target} → {row.predicted}"),
            Text(row.images),
            Text(row.fraction, "dim"),
        )
    return table
