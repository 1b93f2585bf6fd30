"""Rows of the table of runs: runs, and series of runs that are open or folded."""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from cnn_engine.runs.columns import RunColumn
from cnn_engine.runs.groups import RunGroup
from cnn_engine.runs.selection import RunSelection, sort_runs
from cnn_engine.runs.summary import RunSummary
from cnn_tui.dashboard.widgets.run_header import BADGES
from cnn_tui.text.queue import status_text

GROUP_BADGES = {
    "running": ("●", "$text-success"),
    "done": ("✓", "$text-success"),
    "incomplete": ("◌", "$text-warning"),
    "queued": BADGES["queued"],
}
"""Glyph and style of the status of a series."""


class Row(NamedTuple):
    """A row of the table."""

    run: RunSummary
    """The run; of a series, its means in the form of a run."""

    group: RunGroup | None = None
    """The series of the row; None for a run."""

    is_open: bool = False
    """True if the runs of the series follow."""

    is_member: bool = False
    """True for a run below its series."""

    @property
    def key(self) -> tuple[bool, str]:
        """Identity of the row."""
        return self.group is not None, self.run.run_id

    @property
    def runs(self) -> Sequence[RunSummary]:
        """The run, or all runs of the series."""
        return self.group.runs if self.group else [self.run]

    @property
    def status(self) -> str:
        """Status of the run or the series, with the place in the queue."""
        if self.group is None or self.group.status == "queued":
            return status_text(self.run)
        return self.group.status


def make_rows(
    selection: RunSelection,
    groups: Mapping[str, RunGroup],
    opened: Collection[str],
    *,
    is_descending: bool,
) -> tuple[Row, ...]:
    """Return the rows for the runs that a filter matches: a series has one, and its runs if open.

    Args:
        selection: The matching runs, sorted.
        groups: All series by id.
        opened: Ids of the series that are open.
        is_descending: True if the runs are sorted in descending order.
    """
    members: dict[str, list[RunSummary]] = {}
    first_level = list[RunSummary]()
    for run in selection.runs:
        group = groups.get(run.group)
        if group is None or group.planned < 2:
            first_level.append(run)
            continue
        if run.group not in members:
            first_level.append(group.summary)
        members.setdefault(run.group, []).append(run)
    if not members:
        return tuple(map(Row, selection.runs))
    rows = list[Row]()
    by_summary = {id(groups[group].summary): groups[group] for group in members}
    column = selection.sort_column
    for run in sort_runs(first_level, column, descending=is_descending):
        group = by_summary.get(id(run))
        if group is None:
            rows.append(Row(run))
            continue
        rows.append(Row(run, group, is_open=group.id in opened))
        if group.id in opened:
            rows += [Row(member, is_member=True) for member in _in_order(members[group.id], column)]
    return tuple(rows)


def _in_order(members: list[RunSummary], column: RunColumn) -> list[RunSummary]:
    """Return the runs of a series as they are sorted, or by default in the order of the series."""
    if column.key != "started":
        return members
    return sorted(members, key=lambda run: (run.member, run.started))
