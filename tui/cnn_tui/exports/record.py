"""A run as plain values, for `show --json` and all exports.

The format is stable: `run.schema.json` beside this module describes it. Fields may be added; a
field is removed or redefined only with a new `FORMAT_VERSION`.
"""

from dataclasses import asdict, dataclass
from typing import Any

from cnn_engine.results.metrics_json import metrics_as_dict
from cnn_engine.runlog.events import ScalarsLogged
from cnn_engine.runlog.state import RunState
from cnn_engine.runs.directory import RunDirectory
from cnn_engine.runs.history import read_steps
from cnn_engine.runs.summary import RunSummary, read_state, read_summary
from cnn_tui.text.json import finite

FORMAT_VERSION = 1
"""Version of the record's format."""

STEP_COLUMNS = ("epoch", "step", "time", "loss", "loss_min", "loss_max", "lr", "seconds", "images")
"""Exported fields of `StepsFinished`."""


NOT_FINITE = ("nan", "inf", "-inf")


@dataclass(frozen=True, kw_only=True)
class Record:
    """A run, its state and its summary, read from its log."""

    run: RunDirectory
    state: RunState
    summary: RunSummary

    @property
    def classes(self) -> tuple[str, ...]:
        """Raw class names, to be passed through `safe_text`; empty before the data is known."""
        return self.state.classes


def read_record(run: RunDirectory) -> Record:
    """Read the log and the summary of a run.

    Raises:
        OSError: the log cannot be read.
    """
    return Record(run=run, state=read_state(run)[0], summary=read_summary(run))


def to_dict(record: Record) -> dict[str, Any]:
    """Return the record without its steps as strict JSON values; non-finite numbers are None."""
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
        "loop": asdict(state.loop) if state.loop else None,
        "version": state.started.version if state.started else None,
        "classes": record.classes,
        "processes": _processes(state),
        "is_captured": state.is_captured,
        "step_parts": state.part_fractions,
        "epochs_finished": [
            asdict(epoch) | ({} if epoch.is_validated else {"val_loss": None})
            for epoch in state.epochs
        ],
        "test": asdict(state.test) if state.test else None,
        "figures": metrics_as_dict(state.test, state.prepared) if state.test else None,
        "markers": [marker._asdict() for marker in state.markers],
        "notices": [asdict(notice) for notice in state.messages],
    }
    plain: dict[str, Any] = finite(values)
    return plain


def _processes(state: RunState) -> dict[str, Any] | None:
    """Return the processes of the latest session with their last measurement; None for one."""
    if state.joined is None:
        return None
    measured = state.measured[-1] if state.measured else None
    return {
        "hosts": state.joined.hosts,
        "devices": state.joined.devices,
        "restarts": state.joined.restarts,
        "step_seconds": measured.step_seconds if measured else (),
        "exchange_seconds": measured.exchange_seconds if measured else (),
        "memory_bytes": measured.memory_bytes if measured else (),
    }


def scalar_values(event: ScalarsLogged) -> dict[str, float]:
    """Return the means of an event by the name of their series; NaN or infinite without a mean."""
    others = {name: float(text) for name, text in event.not_finite.items() if text in NOT_FINITE}
    return others | {name: values[0] for name, values in event.values.items() if values}


def series_points(record: Record) -> dict[str, dict[str, list[Any]]]:
    """Return the points of all series as columns of strict JSON values; of long runs, merged."""
    return {
        name: {
            "step": list(series.curve.steps),
            "mean": finite(list(series.curve.losses)),
            "low": finite(list(series.curve.lows)),
            "high": finite(list(series.curve.highs)),
        }
        for name, series in record.state.series.items()
    }


def step_columns(record: Record) -> dict[str, list[Any]]:
    """Return the steps as equally long columns of strict JSON values, by `STEP_COLUMNS`."""
    columns: dict[str, list[Any]] = {name: [] for name in STEP_COLUMNS}
    for event in read_steps(record.run):
        for name, column in columns.items():
            column.append(finite(getattr(event, name)))
    return columns
