"""What the final test says in all: its figures, and how right the model was by how sure it was."""

from collections.abc import Sequence

from textual.content import Content

from cnn_engine.results.metrics import Bin, metrics_of
from cnn_engine.runlog.state import RunState
from cnn_tui.dashboard.widgets.panel import Panel, colored_bar
from cnn_tui.text.metrics import MetricRow, confidence_text, metric_rows
from cnn_tui.text.numbers import percent

LEAST_WIDTH_FOR_REMARKS = 74
"""Narrower, a remark has a line of its own."""

LEAST_BAR, LONGEST_BAR = 6, 40
HEADING = "confidence    images  average   right"


class TestMetrics(Panel):
    """The figures of the test, and below them the reliability table, the most confident first."""

    __test__ = False  # pytest takes a class of this name for tests

    def on_mount(self) -> None:
        """Name the panel."""
        self.border_title = "Test"

    def depends_on(self, state: RunState) -> object:
        """The test."""
        return state.test is None, state.prepared is None

    def draw(self, state: RunState, width: int, height: int) -> Sequence[Content]:
        """The lines, once there is a test."""
        if state.test is None:
            text = "after the test, once training is done; until then validation tells"
            return [Content.styled(text, "$muted")]
        figures = metrics_of(state.test, state.prepared)
        rows = metric_rows(figures, state.prepared.classes if state.prepared else ())
        table = [Content(""), Content.styled(HEADING, "$muted")]
        table += [_reliability(row, width) for row in reversed(figures.bins)]
        if not figures.bins:
            table = []
        lines = _figures(rows, width, remarks=True)
        if len(lines) + len(table) > height:
            lines = _figures(rows, width, remarks=width >= LEAST_WIDTH_FOR_REMARKS)
        return [*lines, *table]


def _figures(rows: list[MetricRow], width: int, *, remarks: bool) -> list[Content]:
    """The figures, with what is remarked of each beside it, or below where that is too narrow."""
    names = max(len(row.name) for row in rows)
    lines = []
    for row in rows:
        line = Content.assemble(f"{row.name:<{names}}  ", (f"{row.value:>7}", "bold"))
        remark = Content.styled(f"  {row.remark}", "$muted") if remarks else Content("")
        lines += [line + remark] if width >= LEAST_WIDTH_FOR_REMARKS else [line, remark]
    return lines if remarks else [line for line in lines if line.plain]


def _reliability(row: Bin, width: int) -> Content:
    text = f"{confidence_text(row):>10}  {row.rate.images:>8,}"
    if row.mean_confidence is None or row.rate.share is None:
        return Content.styled(text, "$faint")
    text += f"  {percent(row.mean_confidence):>7}  {percent(row.rate.share):>6}  "
    room = min(LONGEST_BAR, width - len(text))
    return Content(text) + colored_bar(row.rate.share, room if room >= LEAST_BAR else 0)
