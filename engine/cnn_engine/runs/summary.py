"""The figures of a run in one small record, cached beside its log."""

import json
import math
import os
import sys
from collections.abc import Generator
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import Any, Literal, TypeAlias, get_args

from msgspec import convert

from cnn_engine.config.renamed_keys import rename_old_keys
from cnn_engine.runlog.log import LogReader
from cnn_engine.runlog.state import ENDED, Phase, RunState
from cnn_engine.runs.directory import RunDirectory
from cnn_engine.runs.marks import NO_MARKS, Marks, read_marks
from cnn_engine.storage.atomic import write_cache

RunStatus: TypeAlias = Literal[
    "starting",
    "training",
    "validating",
    "testing",
    "done",
    "stopped",
    "failed",
    "detached",
    "paused",
    "interrupted",
    "damaged",
]
"""A status of `RunState`; `interrupted`: the log ends, and no process holds it; `damaged`: the
log does not even tell what was started."""

STATUSES: tuple[RunStatus, ...] = get_args(RunStatus)
LIVE: frozenset[RunStatus] = frozenset({*get_args(Phase), "paused"}) - ENDED

CURVE_POINTS = 48
EVENTS_AT_ONCE = 500


@dataclass(frozen=True, kw_only=True)
class RunSummary:
    """What a list of runs shows of one. Losses and accuracies are None where there are none yet."""

    run_id: str
    name: str
    group: str
    """Id of the first run of the series that this one belongs to; empty without one."""
    preset: str
    status: RunStatus
    started: float
    """In seconds since 1970."""
    seconds: float
    """All sessions, to the last event."""
    host: str
    device: str
    precision: str
    source: str
    train_images: int
    parameters: int
    """Trainable parameters of the model; 0 while not known."""
    epochs: int
    """Epochs asked for."""
    epochs_done: int
    best_epoch: int | None
    best_val_loss: float | None
    best_val_accuracy: float | None
    val_losses: tuple[float | None, ...]
    """After each epoch, or of many epochs some; None where it was no number."""
    test_loss: float | None
    test_accuracy: float | None
    tta_accuracy: float | None
    """With test-time augmentation; None without it."""
    error: str
    damaged_lines: int
    """Lines of the log that could not be read."""
    config_json: str
    """The whole config as a text: many runs have the same one, and few are asked about it."""

    star: bool = False
    """Whether its user has starred it."""
    note: str = ""
    tags: tuple[str, ...] = ()

    @property
    def config(self) -> dict[str, dict[str, Any]]:
        """The whole config by table and key; it is not to be changed."""
        return _tables(self.config_json)

    def as_dict(self) -> dict[str, Any]:
        """All of it as plain values."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        del values["config_json"]
        return values | {"config": self.config}

    def with_marks(self, marks: Marks) -> "RunSummary":
        """The same with what its user noted."""
        name = self.name if marks.name is None else marks.name
        return replace(self, name=name, star=marks.star, note=marks.note, tags=marks.tags)


def summarize(state: RunState, run: RunDirectory, damaged_lines: int = 0) -> RunSummary:
    """The figures of a run's state, as the log alone tells them."""
    started, prepared, best, test = state.started, state.prepared, state.best, state.test
    return RunSummary(
        run_id=run.id,
        name=started.name if started else "",
        group=started.group if started else "",
        preset=state.preset,
        status="damaged" if damaged_lines and started is None else state.status,
        started=started.time if started else 0.0,
        seconds=state.elapsed_seconds,
        host=state.host,
        device=prepared.device if prepared else "",
        precision=prepared.precision if prepared else "",
        source=prepared.source if prepared else "",
        train_images=prepared.train_images if prepared else 0,
        parameters=prepared.parameters if prepared else 0,
        epochs=state.total_epochs,
        epochs_done=len(state.epochs),
        best_epoch=best.epoch if best else None,
        best_val_loss=best.val_loss if best else None,
        best_val_accuracy=_known(best.val_accuracy) if best else None,
        val_losses=_thinned([epoch.val_loss for epoch in state.epochs]),
        test_loss=test.loss if test else None,
        test_accuracy=_known(test.accuracy) if test else None,
        tta_accuracy=_known(test.tta_accuracy) if test else None,
        error=state.finished.error if state.finished else "",
        damaged_lines=damaged_lines,
        config_json=sys.intern(json.dumps(state.config)),
    )


def _known(share: float | None) -> float | None:
    """None for NaN: an imported run may have losses alone."""
    return None if share is None or math.isnan(share) else share


@lru_cache(1000)
def _tables(config_json: str) -> dict[str, dict[str, Any]]:
    """The tables of a config; none of what is no config, as in a damaged file."""
    try:
        tables = json.loads(config_json)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(tables, dict):
        return {}
    current = rename_old_keys(tables)  # another version may have written the cache
    return {table: values for table, values in current.items() if isinstance(values, dict)}


def _thinned(losses: list[float]) -> tuple[float | None, ...]:
    """The losses, or of many every so-manieth and the last."""
    step = math.ceil(len(losses) / CURVE_POINTS) or 1
    kept = losses[::-step][::-1]
    return tuple(loss if math.isfinite(loss) else None for loss in kept)


def read_state(run: RunDirectory) -> tuple[RunState, int]:
    """The run's state from its whole log, and how many damaged lines that has."""
    log = OpenLog(run)
    for _ in log.read():
        pass
    return log.state, log.damaged_lines


class OpenLog:
    """A log that is read on as it grows, and the state made from it."""

    def __init__(self, run: RunDirectory) -> None:
        self._reader = LogReader(run.events)
        self._restarts = 0
        self.state = RunState()

    @property
    def damaged_lines(self) -> int:
        """Lines so far that could not be read."""
        return self._reader.damaged_lines

    def read(self) -> Generator[None]:
        """Take in what is new, pausing after every so many events.

        Raises:
            OSError: it cannot be read now.
        """
        for number, event in enumerate(self._reader.poll()):
            if number == 0 and self._restarts != self._reader.restarts:
                # Another log stands in the place of this, which is seen when a reading begins.
                self._restarts, self.state = self._reader.restarts, RunState()
            self.state.apply(event)
            if number % EVENTS_AT_ONCE == EVENTS_AT_ONCE - 1:
                yield


def store_summary(state: RunState, run: RunDirectory, damaged_lines: int = 0) -> None:
    """Cache the figures of a state that holds all of the log as it is on disk now."""
    with suppress(OSError):  # only a cache: whoever finds it missing or stale reads the log instead
        _store(summarize(state, run, damaged_lines), run, _stamp(run))


def read_summary(run: RunDirectory) -> RunSummary:
    """The run's figures and its status as of now, from the cache if that is up to date."""
    steps = read_summary_in_steps(run, OpenLog(run))
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]  # of the generator's own type


def read_summary_in_steps(run: RunDirectory, log: OpenLog) -> Generator[None, None, RunSummary]:
    """As `read_summary`, pausing as often as reading a long log takes.

    Args:
        run: The run.
        log: Its log, as far as it was read before.
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
            tells_nothing = stamp[0] and not summary.started
            summary = replace(summary, status="damaged" if tells_nothing else "interrupted")
        elif found is None and summary.status not in LIVE:
            _store(summary, run, stamp)
    except OSError as error:
        nothing = summarize(RunState(), run)
        text = f"the log cannot be read: {error.strerror}"
        summary = replace(nothing, status="damaged", error=text)
    marks = read_marks(run)
    return summary if marks is NO_MARKS else summary.with_marks(marks)


def _stamp(run: RunDirectory) -> list[int]:
    """What changes with the log: its size, and when it was written."""
    found = os.stat(f"{run.path}/events.jsonl")  # noqa: PTH116 - asked of every run of a list
    return [found.st_size, found.st_mtime_ns]


def _store(summary: RunSummary, run: RunDirectory, stamp: list[int]) -> None:
    record = {name: getattr(summary, name) for name in _CACHED} | {"log": stamp}
    with suppress(OSError):
        write_cache(run.summary, json.dumps(record).encode())


def _cached(run: RunDirectory, stamp: list[int]) -> RunSummary | None:
    """What the cache holds, if that was made from the log as it is, by a version like this one."""
    try:
        with open(f"{run.path}/summary.json", "rb") as file:  # noqa: PTH123 - as above
            record = json.loads(file.read())
        if record.pop("log") != stamp or record.keys() != _CACHED:
            return None
        record["config_json"] = sys.intern(record["config_json"])
        return convert(record, RunSummary)
    except (OSError, ValueError, KeyError, AttributeError, TypeError, RecursionError):
        return None


_NOTED = {field.name for field in fields(Marks)} - {"name"}
_CACHED = {field.name for field in fields(RunSummary)} - _NOTED
"""The cached fields: what its user noted stands in a file of its own."""
