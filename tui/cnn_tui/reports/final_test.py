"""Metrics of a final test and of its classes as tables."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from cnn_engine.results.metrics import Metrics, class_metrics, metrics_of
from cnn_engine.runlog.events import EpochFinished, RunPrepared, TestFinished
from cnn_tui.charts.blocks import bar
from cnn_tui.reports.fitting_table import FittingTable
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

CLASS_OPTIONAL = (1, 3, 5, 6, 4)
"""Columns of classes that a narrow terminal leaves out in this order: bar, interval, precision, F1,
images."""

BIN_OPTIONAL = (4, 1, 2)
"""Columns of calibration bins, likewise: bar, images, mean confidence."""


def class_table(counts: TestFinished | EpochFinished, classes: tuple[str, ...]) -> FittingTable:
    """Return a table of the metrics of each class."""
    metrics = class_metrics(counts.correct, counts.total, counts.confusion)
    rows: list[list[str | Text]] = [
        [
            Text(safe_text(name, 20)),
            _bar(result.accuracy.fraction or 0.0, 12),
            *class_cells(result),
        ]
        for name, result in zip(classes, metrics, strict=False)
    ]
    return FittingTable(("class", "", *CLASS_HEADINGS), rows, CLASS_OPTIONAL, left=(0, 1))


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


def _reliability(metrics: Metrics) -> FittingTable:
    rows: list[list[str | Text]] = [
        [*bin_cells(row), _bar(row.rate.fraction or 0.0, 20)] for row in filled_bins(metrics)
    ]
    return FittingTable((*BIN_HEADINGS, ""), rows, BIN_OPTIONAL, left=(len(BIN_HEADINGS),))


def _bar(fraction: float, width: int) -> Text:
    return Text.assemble(*zip(bar(fraction, width), ("bright_blue", "dim"), strict=True))


def _pairs(metrics: Metrics, test: TestFinished, classes: tuple[str, ...]) -> Table:
    table = Table.grid(padding=(0, 2))
    for row in confused_pair_texts(metrics.confused_pairs[:MAX_PAIRS], test.total, classes, 20):
        table.add_row(
            Text(f"{row.target} → {row.predicted}"),
            Text(row.images),
            Text(row.fraction, "dim"),
        )
    return table
