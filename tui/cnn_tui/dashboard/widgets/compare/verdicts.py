"""McNemar's test of each compared run against the first one."""

from collections.abc import Sequence
from typing import NamedTuple

from textual.content import Content

from cnn_engine.results.comparison import Verdict
from cnn_engine.results.group_comparison import SetVerdict
from cnn_tui.dashboard.compared import ComparedRun, TableRow
from cnn_tui.dashboard.widgets.panel import Panel
from cnn_tui.text.set_verdicts import p_text, set_verdict_cell, set_verdict_text
from cnn_tui.text.verdicts import can_be_tested, probability_cell, verdict_cell, verdict_text
from cnn_tui.text.width import wrap


class VerdictList(NamedTuple):
    """The verdicts on all runs but the first, or the reason why there are none."""

    verdicts: Sequence[Verdict] = ()
    set_verdicts: Sequence[SetVerdict] = ()
    """Verdicts if series are compared, too."""

    reason: str = ""


class Verdicts(Panel[VerdictList]):
    """A sentence about the significance of the difference for each run but the first."""

    DEFAULT_CSS = """
    Verdicts {
        border: none;
    }
    """

    def __init__(self, runs: Sequence[ComparedRun]) -> None:
        super().__init__(id="verdicts")
        self._runs = runs

    def show(self, content: VerdictList) -> None:
        """Show the verdicts or the reason; hide the panel if there is neither."""
        self.display = bool(content.verdicts or content.set_verdicts or content.reason)
        super().show(content)

    def table_rows(self) -> list[TableRow]:
        """Return the verdicts and the p-values as rows of a table; empty before they are known."""
        if self._data and (found := self._data.set_verdicts):
            p_values = [each.p_value for each in found]
            p_cells = ["" if p is None else p_text(p) for p in p_values]
            return [
                TableRow("  vs A", ["", *map(set_verdict_cell, found)]),
                TableRow("  p", ["", *p_cells]),
            ]
        verdicts = self._data.verdicts if self._data else ()
        if not verdicts:
            return []
        rows = [TableRow("  vs A", ["", *map(verdict_cell, verdicts)])]
        if any(probabilities := [probability_cell(verdict) for verdict in verdicts]):
            rows.append(TableRow("  McNemar's p", ["", *probabilities]))
        return rows

    def draw(self, content: VerdictList, width: int, height: int) -> Sequence[Content]:  # noqa: ARG002
        """Return the sentences, wrapped."""
        if content.reason:
            return [Content.styled(line, "$muted") for line in wrap(content.reason, width)]
        lines: list[Content] = []
        if content.set_verdicts:
            names = [f"{run.curves.letter} {run.name}" for run in self._runs]
            tested = sum(each.p_value is not None for each in content.set_verdicts)
            for name, each in zip(names[1:], content.set_verdicts, strict=False):
                lines += map(Content, wrap(set_verdict_text(names[0], name, each, tested), width))
            return lines
        count = sum(verdict.disagreement is not None for verdict in content.verdicts)
        first, *others = self._runs
        names = [f"{run.curves.letter} {run.name}" for run in self._runs]
        for other, name, verdict in zip(others, names[1:], content.verdicts, strict=False):
            if not can_be_tested(first.state, other.state):
                continue
            text = "".join(verdict_text(names[0], name, verdict, count))
            lines += map(Content, wrap(text, width))
        return lines
