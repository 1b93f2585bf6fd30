"""The metrics of the final test, and its calibration."""

from collections.abc import Sequence

from textual.content import Content

from cnn_engine.results.metrics import Bin, metrics_of
from cnn_engine.runlog.state import RunState
from cnn_tui.dashboard.widgets.panel import Panel, labeled_bar
from cnn_tui.text.metrics import MetricRow, confidence_text, metric_rows
from cnn_tui.text.numbers import percent
from cnn_tui.text.other_loops import missing_text
from cnn_tui.text.width import pad, widest

MIN_WIDTH_FOR_REMARKS = 74
"""Width below which a remark stands on a line of its own."""

MIN_BAR, MAX_BAR = 6, 40
HEADING = "confidence    images     mean  accuracy"


class TestMetrics(Panel[RunState]):
    """The metrics, and below them the reliability table, the most confident bin first."""

    __test__ = False  # pytest takes a class of this name for tests

    TITLE = "Test"

    def depends_on(self, state: RunState) -> object:
        """Return the parts of the state that are missing."""
        return state.test is None, state.prepared is None, state.is_own

    def draw(self, state: RunState, width: int, height: int) -> Sequence[Content]:
        """Return the lines, once there is a test."""
        if state.test is None:
            reason = missing_text(state, "test")
            return [Content.styled(reason or "available after the final test", "$muted")]
        metrics = metrics_of(state.test, state.prepared)
        rows = metric_rows(metrics, state.classes)
        table = [Content(""), Content.styled(HEADING, "$muted")]
        table += [_bin_line(row, width) for row in reversed(metrics.bins)]
        if not metrics.bins:
            table = []
        lines = _metric_lines(rows, width, has_remarks=True)
        if len(lines) + len(table) > height:
            lines = _metric_lines(rows, width, has_remarks=width >= MIN_WIDTH_FOR_REMARKS)
        return [*lines, *table]


def _metric_lines(rows: list[MetricRow], width: int, *, has_remarks: bool) -> list[Content]:
    """Return the metrics, each with its remark beside it, or below if the width is small."""
    name_width = widest(row.name for row in rows)
    lines = []
    for row in rows:
        line = Content.assemble(f"{pad(row.name, name_width)}  ", (f"{row.value:>7}", "bold"))
        remark = Content.styled(f"  {row.remark}", "$muted") if has_remarks else Content("")
        lines += [line + remark] if width >= MIN_WIDTH_FOR_REMARKS else [line, remark]
    return lines if has_remarks else [line for line in lines if line.plain]


def _bin_line(row: Bin, width: int) -> Content:
    text = f"{confidence_text(row):>10}  {row.rate.images:>8,}"
    if row.mean_confidence is None or row.rate.fraction is None:
        return Content.styled(text, "$faint")
    text += f"  {percent(row.mean_confidence):>7}  {percent(row.rate.fraction):>8}  "
    return labeled_bar(text, row.rate.fraction, min(width, len(text) + MAX_BAR), MIN_BAR)
