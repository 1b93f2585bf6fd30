"""The figures of a run in one small record, cached beside its log."""

import json
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from typing import Any

from cnn_engine.files import write_atomically
from cnn_engine.runlog import LogReader
from cnn_engine.runs import RunDirectory
from cnn_engine.state import ENDED, RunState


@dataclass(frozen=True, kw_only=True)
class RunSummary:
    """What a list of runs shows of one. Losses and accuracies are None where there are none yet."""

    run_id: str
    name: str
    group: str
    """Id of the first run of the series that this one belongs to; empty without one."""
    preset: str
    status: str
    """A status of `RunState`, or `interrupted`: the log ends, and no process holds it."""
    started: float
    """In seconds since 1970."""
    seconds: float
    """All sessions, to the last event."""
    host: str
    device: str
    precision: str
    source: str
    train_images: int
    epochs: int
    """Epochs asked for."""
    epochs_done: int
    best_epoch: int | None
    best_val_loss: float | None
    best_val_accuracy: float | None
    test_loss: float | None
    test_accuracy: float | None
    tta_accuracy: float | None
    """With test-time augmentation; None without it."""
    error: str
    damaged_lines: int
    """Lines of the log that could not be read."""


def summarize(state: RunState, run: RunDirectory, damaged_lines: int = 0) -> RunSummary:
    """The figures of a run's state."""
    started, prepared, best, test = state.started, state.prepared, state.best, state.test
    return RunSummary(
        run_id=run.id,
        name=started.name if started else "",
        group=started.group if started else "",
        preset=state.preset,
        status=state.status,
        started=started.time if started else 0.0,
        seconds=state.elapsed_seconds,
        host=state.host,
        device=prepared.device if prepared else "",
        precision=prepared.precision if prepared else "",
        source=prepared.source if prepared else "",
        train_images=prepared.train_images if prepared else 0,
        epochs=state.epochs_asked,
        epochs_done=len(state.epochs),
        best_epoch=best.epoch if best else None,
        best_val_loss=best.val_loss if best else None,
        best_val_accuracy=best.val_accuracy if best else None,
        test_loss=test.loss if test else None,
        test_accuracy=test.accuracy if test else None,
        tta_accuracy=test.tta_accuracy if test else None,
        error=state.finished.error if state.finished else "",
        damaged_lines=damaged_lines,
    )


def read_state(run: RunDirectory) -> tuple[RunState, int]:
    """The run's state from its whole log, and how many damaged lines that has."""
    state, reader = RunState(), LogReader(run.events)
    for event in reader.poll():
        state.apply(event)
    return state, reader.damaged_lines


def store_summary(state: RunState, run: RunDirectory, damaged_lines: int = 0) -> None:
    """Cache the figures of a state that holds all of the log as it is on disk now."""
    figures = asdict(summarize(state, run, damaged_lines))
    record = figures | {"log_bytes": run.events.stat().st_size}
    # Only a cache: whoever finds it missing or stale reads the log instead.
    with suppress(OSError):
        write_atomically(run.summary, json.dumps(record).encode())


def read_summary(run: RunDirectory) -> RunSummary:
    """The run's figures and its status as of now, from the cache if that is up to date."""
    summary = _cached(run)
    if summary is None:
        state, damaged_lines = read_state(run)
        summary = summarize(state, run, damaged_lines)
    if summary.status not in ENDED and not run.is_live(summary.host):
        summary = RunSummary(**asdict(summary) | {"status": "interrupted"})
    return summary


def _cached(run: RunDirectory) -> RunSummary | None:
    try:
        record: dict[str, Any] = json.loads(run.summary.read_bytes())
        if record.pop("log_bytes") != run.events.stat().st_size:
            return None
        return RunSummary(**record) if record.keys() == _FIELDS else None
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return None


_FIELDS = {field.name for field in fields(RunSummary)}
