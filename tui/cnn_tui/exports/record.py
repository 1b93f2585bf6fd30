"""A run as plain values: what `show --json` prints, and what every export is made from.

The shape of it is promised: `run.schema.json` beside this module describes it. A field may be
added at any time; none goes, or changes its meaning, unless `VERSION` does.
"""

from dataclasses import asdict, dataclass
from typing import Any

from cnn_engine.results.metrics_json import metrics_as_dict
from cnn_engine.runlog.state import RunState
from cnn_engine.runs.directory import RunDirectory
from cnn_engine.runs.history import read_steps
from cnn_engine.runs.summary import RunSummary, read_state, read_summary
from cnn_tui.text.json import finite

FORMAT_VERSION = 1
"""Of the record's shape."""

STEP_COLUMNS = ("epoch", "step", "time", "loss", "loss_min", "loss_max", "lr", "seconds", "images")
"""What is told of the steps: fields of `StepsFinished`."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """A run as far as its log tells."""

    run: RunDirectory
    state: RunState
    summary: RunSummary

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names as they are, to be made safe where they are shown; none while unknown."""
        return self.state.prepared.classes if self.state.prepared else ()


def read_record(run: RunDirectory) -> Record:
    """All that is known of a run.

    Raises:
        OSError: its log cannot be read.
    """
    return Record(run=run, state=read_state(run)[0], summary=read_summary(run))


def to_dict(record: Record) -> dict[str, Any]:
    """The record without its steps, in values that strict JSON has: what is no number is None."""
    state = record.state
    values = {
        "format": "cnn-tui run",
        "format_version": FORMAT_VERSION,
        **record.summary.as_dict(),
        "command": state.started.command if state.started else (),
        "directory": state.started.directory if state.started else "",
        "like": state.started.like if state.started else "",
        "environment": state.prepared.environment if state.prepared else {},
        "prepared": asdict(state.prepared) if state.prepared else None,
        "version": state.started.version if state.started else None,
        "classes": record.classes,
        "is_captured": state.is_captured,
        "step_parts": state.part_shares,
        "epochs_finished": [
            asdict(epoch) | ({} if epoch.is_validated else {"val_loss": None})
            for epoch in state.epochs
        ],
        "test": asdict(state.test) if state.test else None,
        "figures": metrics_as_dict(state.test, state.prepared) if state.test else None,
        "markers": [marker._asdict() for marker in state.markers],
        "notices": [asdict(notice) for notice in state.notices],
    }
    plain: dict[str, Any] = finite(values)
    return plain


def step_columns(record: Record) -> dict[str, list[Any]]:
    """The steps by column, as strict JSON has them."""
    columns: dict[str, list[Any]] = {name: [] for name in STEP_COLUMNS}
    for event in read_steps(record.run):
        for name, column in columns.items():
            column.append(finite(getattr(event, name)))
    return columns
