"""Summaries of runs for lists, cached beside their logs."""

import json
import math
import os
import socket
import sys
from collections.abc import Generator
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

from msgspec import convert

from cnn_engine.config.renamed_keys import logged_config
from cnn_engine.runlog.events import EpochFinished
from cnn_engine.runlog.log import LogReader
from cnn_engine.runlog.state import ENDED, Phase, RunState
from cnn_engine.runs.directory import RunDirectory
from cnn_engine.runs.marks import NO_MARKS, Marks, read_marks
from cnn_engine.runs.queue_places import queue_place
from cnn_engine.storage.atomic import write_cache
from cnn_engine.storage.regular_files import open_regular

RunStatus: TypeAlias = Literal[
    "queued",
    "starting",
    "training",
    "validating",
    "testing",
    "done",
    "stopped",
    "failed",
    "detached",
    "paused",
    "restarting",
    "interrupted",
    "damaged",
]
"""A status of `RunState`; `queued`: the run waits for a device, or is held in the queue;
`restarting`: one of several processes was lost, and they are about to be started again;
`interrupted`: the run has not ended, but no process writes its log; `damaged`: the log cannot be
read, or its first event is damaged."""

STATUSES: tuple[RunStatus, ...] = get_args(RunStatus)
LIVE: frozenset[RunStatus] = (
    frozenset({*get_args(Phase), "paused", "restarting"}) - ENDED - {"queued"}
)
CHANGING = LIVE | {"queued"}
"""Statuses that may change without a new file in the run's directory."""

CURVE_POINTS = 48
"""Maximum number of validation losses in a summary."""

MAX_CACHE_BYTES = 2**24
"""A larger cached summary is damaged."""

EVENTS_PER_STEP = 500
"""Events read between two yields of `OpenLog.read`."""


class SeriesSummary(NamedTuple):
    """Values of a series, each None if there is no finite one."""

    last: float | None
    minimum: float | None
    maximum: float | None


@dataclass(frozen=True, kw_only=True)
class RunSummary:
    """Summary of a run. Losses and accuracies are None if there are none yet."""

    run_id: str
    name: str
    group: str
    """Id of the first run of its series; empty if it belongs to none."""
    member: int
    """Number in its series, from 1; 0 if unknown."""
    members: int
    """Planned number of runs of its series; 0 if unknown."""
    setting: str
    """Values by which its series differs, such as `optimizer.lr=0.003`; may be empty."""
    preset: str
    status: RunStatus
    started: float
    """Start in seconds since 1970; 0 if unknown."""
    seconds: float
    """Duration of all sessions up to the last event."""
    host: str
    device: str
    precision: str
    process_count: int
    """Number of processes that train together, in the latest session."""
    source: str
    train_images: int
    parameters: int
    """Trainable parameters of the model; 0 if not known yet."""
    epochs: int
    """Planned number of epochs."""
    epochs_done: int
    best_epoch: int | None
    """Best epoch by `best_metric`, or without any loss the one with the highest accuracy."""
    best_metric: str
    """Metric that selects it, as in `train.best`."""
    best_val_loss: float | None
    """Validation loss of the best epoch, as the next two."""
    best_val_accuracy: float | None
    best_val_macro_f1: float | None
    val_losses: tuple[float | None, ...]
    """Validation loss per epoch, thinned to `CURVE_POINTS`; None for NaN and infinity."""
    test_loss: float | None
    test_accuracy: float | None
    tta_accuracy: float | None
    """With test-time augmentation; None without it."""
    error: str
    damaged_lines: int
    """Lines of the log that could not be read."""
    is_own: bool
    """False for an import, and for a run that another training loop logs."""
    framework: str
    """Library whose training loop logs the run; empty if unknown."""
    series: dict[str, SeriesSummary]
    """Values of other series by name."""
    config_json: str
    """Config as JSON text: many runs share it, and it is rarely parsed."""

    queue_position: int | None = None
    """Place among the queued runs that wait for the same kind of device, counted from 1; 0 if the
    run is held; None if it is not queued."""

    star: bool = False
    note: str = ""
    tags: tuple[str, ...] = ()

    @property
    def config(self) -> dict[str, dict[str, Any]]:
        """Config by table and key. Do not modify it."""
        return _tables(self.config_json)

    def as_dict(self) -> dict[str, Any]:
        """Return all values, as written by `--json`."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        del values["config_json"]
        values["series"] = {name: series._asdict() for name, series in self.series.items()}
        return values | {"config": self.config}

    def with_marks(self, marks: Marks) -> "RunSummary":
        """Return a copy with the user's marks."""
        name = self.name if marks.name is None else marks.name
        return replace(self, name=name, star=marks.star, note=marks.note, tags=marks.tags)


def summarize(state: RunState, run: RunDirectory, damaged_lines: int = 0) -> RunSummary:
    """Return the summary of a run's state, without marks."""
    started, prepared, test = state.started, state.prepared, state.test
    best = state.best or _most_accurate(state)
    return RunSummary(
        run_id=run.id,
        name=started.name if started else "",
        group=started.group if started else "",
        member=started.member if started else 0,
        members=started.members if started else 0,
        setting=started.setting if started else "",
        preset=state.preset,
        status="damaged" if damaged_lines and started is None else state.status,
        started=started.time if started else 0.0,
        seconds=state.elapsed_seconds,
        host=state.host,
        device=prepared.device if prepared else "",
        precision=prepared.precision if prepared else "",
        process_count=state.processes,
        source=prepared.source if prepared else "",
        train_images=prepared.train_images if prepared else 0,
        parameters=prepared.parameters if prepared else 0,
        epochs=state.total_epochs,
        epochs_done=len(state.epochs),
        best_epoch=best.epoch if best else None,
        best_metric=state.best_metric.key,
        best_val_loss=state.best.val_loss if state.best else None,
        best_val_accuracy=_known(best.val_accuracy) if best else None,
        best_val_macro_f1=best.val_macro_f1 if best else None,
        val_losses=_thinned([epoch.val_loss for epoch in state.epochs]),
        test_loss=test.loss if test else None,
        test_accuracy=_known(test.accuracy) if test else None,
        tta_accuracy=_known(test.tta_accuracy) if test else None,
        error=state.finished.error if state.finished else "",
        damaged_lines=damaged_lines,
        is_own=state.is_own,
        framework=state.loop.framework if state.loop else "",
        series={
            name: SeriesSummary(*map(_finite, (values.last, values.minimum, values.maximum)))
            for name, values in state.series.items()
        },
        config_json=sys.intern(json.dumps(state.config)),
    )


def _most_accurate(state: RunState) -> EpochFinished | None:
    """Return the last epoch with the highest validation accuracy, if its loop logs no loss."""
    if state.is_own or not all(math.isnan(epoch.val_loss) for epoch in state.epochs):
        return None
    known = [epoch for epoch in reversed(state.epochs) if not math.isnan(epoch.val_accuracy)]
    return max(known, key=lambda epoch: epoch.val_accuracy, default=None)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _known(accuracy: float | None) -> float | None:
    """Return None for NaN: imported runs may have no accuracy."""
    return None if accuracy is None or math.isnan(accuracy) else accuracy


@lru_cache(1000)
def _tables(config_json: str) -> dict[str, dict[str, Any]]:
    """Return the tables of a config; empty if the text is damaged."""
    try:
        tables = json.loads(config_json)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(tables, dict):
        return {}
    current = logged_config(tables)  # another version may have written the cache
    return {table: values for table, values in current.items() if isinstance(values, dict)}


def _thinned(losses: list[float]) -> tuple[float | None, ...]:
    """Return at most `CURVE_POINTS` evenly spaced losses, including the last."""
    step = math.ceil(len(losses) / CURVE_POINTS) or 1
    thinned = losses[::-step][::-1]
    return tuple(map(_finite, thinned))


def read_state(run: RunDirectory) -> tuple[RunState, int]:
    """Return the run's state from its whole log, and the number of damaged lines.

    Raises:
        OSError: the log cannot be read.
    """
    log = OpenLog(run)
    for _ in log.read():
        pass
    return log.state, log.damaged_lines


class OpenLog:
    """A log that may be growing, and the state made from what has been read."""

    def __init__(self, run: RunDirectory) -> None:
        self._reader = LogReader(run.events)
        self._restarts = 0
        self.state = RunState()

    @property
    def damaged_lines(self) -> int:
        """Number of lines so far that are not events."""
        return self._reader.damaged_lines

    def read(self) -> Generator[None]:
        """Apply the new events to the state, yielding after every `EVENTS_PER_STEP` events.

        Raises:
            OSError: the log cannot be read.
        """
        for number, event in enumerate(self._reader.poll()):
            if number == 0 and self._restarts != self._reader.restarts:
                # The log was replaced by another one, which is noticed at the first new event.
                self._restarts, self.state = self._reader.restarts, RunState()
            self.state.apply(event)
            if number % EVENTS_PER_STEP == EVENTS_PER_STEP - 1:
                yield


def store_summary(state: RunState, run: RunDirectory, damaged_lines: int = 0) -> None:
    """Cache the summary of a state that was made from the whole log as it is on disk."""
    with suppress(OSError):  # only a cache: without it, readers use the log
        _store(summarize(state, run, damaged_lines), run, _stamp(run))


def read_summary(run: RunDirectory) -> RunSummary:
    """Return the run's summary and current status, from the cache if it is up to date."""
    steps = read_summary_in_steps(run, OpenLog(run))
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]  # the generator's return type


def read_summary_in_steps(run: RunDirectory, log: OpenLog) -> Generator[None, None, RunSummary]:
    """Do the same as `read_summary`, yielding while a long log is read.

    Args:
        run: The run.
        log: Its log, which may have been read in part before.
    """
    try:
        stamp = _stamp(run)
        found = _cached(run, stamp)
        if found is None:
            yield from log.read()
        summary = found or summarize(log.state, run, log.damaged_lines)
        if summary.status in LIVE and not run.is_live(summary.host):
            if found is None:
                _store(summary, run, stamp)
            is_damaged = stamp[0] and not summary.started
            summary = replace(summary, status="damaged" if is_damaged else "interrupted")
        elif summary.status == "queued":
            if found is None:
                _store(summary, run, stamp)
            summary = _with_place(summary, run)
        elif summary.status in LIVE - {"starting"} and run.is_restarting(summary.host):
            summary = replace(summary, status="restarting")
        elif found is None and summary.status not in LIVE:
            _store(summary, run, stamp)
    except OSError as error:
        empty = summarize(RunState(), run)
        text = f"the log cannot be read: {error.strerror}"
        summary = replace(empty, status="damaged", error=text)
    marks = read_marks(run)
    return summary if marks is NO_MARKS else summary.with_marks(marks)


def _with_place(summary: RunSummary, run: RunDirectory) -> RunSummary:
    """Return the summary of a queued run with its place in the queue.

    Raises:
        OSError: the log cannot be opened.
    """
    place = queue_place(run, summary.host)
    if place is not None:
        return replace(summary, queue_position=place.position)
    is_here = summary.host == socket.gethostname()
    # Otherwise an earlier process has lost it, or it waits on a machine with another home.
    if is_here:
        status: RunStatus = "starting" if run.is_live(summary.host) else "interrupted"
        return replace(summary, status=status)
    return summary


def _stamp(run: RunDirectory) -> list[int]:
    """Return the log's size in bytes and modification time in ns."""
    status = os.stat(f"{run.path}/events.jsonl")  # noqa: PTH116 - faster
    return [status.st_size, status.st_mtime_ns]


def _store(summary: RunSummary, run: RunDirectory, stamp: list[int]) -> None:
    record = {name: getattr(summary, name) for name in _CACHED} | {"log": stamp}
    with suppress(OSError):
        write_cache(run.summary, json.dumps(record).encode())


def _cached(run: RunDirectory, stamp: list[int]) -> RunSummary | None:
    """Return the cached summary if it is valid, has this version's fields and fits the log."""
    try:
        with open_regular(f"{run.path}/summary.json") as file:
            record = json.loads(file.read(MAX_CACHE_BYTES))
        if record.pop("log") != stamp or record.keys() != _CACHED:
            return None
        record["config_json"] = sys.intern(record["config_json"])
        return convert(record, RunSummary)
    except (OSError, ValueError, KeyError, AttributeError, TypeError, RecursionError):
        return None


_ELSEWHERE = {field.name for field in fields(Marks)} - {"name"} | {"queue_position"}
_CACHED = {field.name for field in fields(RunSummary)} - _ELSEWHERE
"""Cached fields: all except those that are in files of their own."""
