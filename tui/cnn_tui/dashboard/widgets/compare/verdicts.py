"""Whether the runs that are compared differ by more than chance."""

import textwrap
from collections.abc import Sequence

from textual.content import Content

from cnn_engine.results.comparison import Verdict
from cnn_tui.dashboard.compared import ComparedRun, TableRow
from cnn_tui.dashboard.widgets.panel import Lines
from cnn_tui.text.verdicts import probability_cell, verdict_cell, verdict_text


class Verdicts(Lines):
    """Every run but the first against that, by McNemar's test of the same images."""

    def __init__(self, runs: Sequence[ComparedRun]) -> None:
        """Tell of runs; nothing until they are judged."""
        super().__init__(id="verdicts")
        self._runs = runs
        self._verdicts: Sequence[Verdict] = ()
        self._reason = ""

    def tell(self, verdicts: Sequence[Verdict], reason: str = "") -> None:
        """Take the verdicts, or why there are none."""
        self._verdicts, self._reason = verdicts, reason
        self.display = bool(verdicts or reason)
        self.redraw()

    def rows(self) -> list[TableRow]:
        """The same in a word and a figure for each run, as rows of a table; none until judged."""
        if not self._verdicts:
            return []
        rows = [TableRow("  against A", ["", *map(verdict_cell, self._verdicts)])]
        if any(chances := [probability_cell(verdict) for verdict in self._verdicts]):
            rows.append(TableRow("  McNemar's p", ["", *chances]))
        return rows

    def make(self, width: int, height: int) -> Sequence[Content]:  # noqa: ARG002
        """Sentences, wrapped."""
        if self._reason:
            return [Content.styled(self._reason, "$muted")]
        lines: list[Content] = []
        count = sum(verdict.disagreement is not None for verdict in self._verdicts)
        first, *others = (f"{run.curves.letter} {run.name}" for run in self._runs)
        for other, verdict in zip(others, self._verdicts, strict=False):
            lines += map(
                Content,
                textwrap.wrap("".join(verdict_text(first, other, verdict, count)), max(1, width)),
            )
        return lines
