"""Runs side by side: each a column, called by a letter; what is told of them, row by row."""

import json
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from cnn_engine.results.comparison import config_differences, flatten_config
from cnn_engine.runlog.events import EpochFinished, TestFinished
from cnn_engine.runlog.state import RunState
from cnn_tui.charts.traces import TraceCache
from cnn_tui.live.follower import Follower
from cnn_tui.text.numbers import decimal, duration, percent
from cnn_tui.text.safe import safe_text

MAX_NAME_LENGTH = 40


class ComparedRun:
    """One of the runs that are compared."""

    def __init__(self, follower: Follower, place: int) -> None:
        self.follower = follower
        self.curves = TraceCache(place)

    @property
    def state(self) -> RunState:
        """The run as far as its log has been read."""
        return self.follower.state

    @property
    def name(self) -> str:
        """What its user calls it, or its id."""
        started = self.state.started
        return safe_text((started.name if started else "") or self.follower.run.id, MAX_NAME_LENGTH)

    @property
    def status(self) -> str:
        """How it goes, in a word."""
        if not self.state.has_ended and not self.follower.is_live:
            return "interrupted"
        return self.state.status


class TableRow(NamedTuple):
    """One line of a table of runs."""

    label: str
    cells: list[str]

    best: frozenset[int] = frozenset()
    """Places of the runs that are the best in it; none where nothing is better or worse."""


def metric_rows(
    runs: Sequence[ComparedRun], significance: Sequence[TableRow] = ()
) -> list[TableRow]:
    """Return the results of the runs.

    Args:
        runs: The runs.
        significance: Rows that tell whether the test accuracies differ, to follow those.
    """
    states = [run.state for run in runs]
    tests, bests = [state.test for state in states], [state.best for state in states]
    return [
        TableRow("status", [run.status for run in runs]),
        TableRow("epochs", [_epochs(state) for state in states]),
        _judged("test accuracy", [_of(test, "accuracy") for test in tests], _percent, max),
        *significance,
        _judged("test loss", [_of(test, "loss") for test in tests], decimal, min),
        _judged("best val loss", [_of(best, "val_loss") for best in bests], decimal, min),
        _judged("  its accuracy", [_of(best, "val_accuracy") for best in bests], _percent, max),
        TableRow("  its epoch", [str(best.epoch) if best else "–" for best in bests]),
        TableRow("last train loss", [_last_train(state) for state in states]),
        TableRow("time", [duration(state.elapsed_seconds) for state in states]),
        _judged("images/s", [_speed(state) for state in states], _whole, max),
        TableRow("parameters", [_parameters(state) for state in states]),
        TableRow("device", [_device(state) for state in states]),
    ]


def config_rows(runs: Sequence[ComparedRun]) -> list[TableRow]:
    """The keys of the config that not all have alike."""
    rows = config_differences([flatten_config(run.state.config) for run in runs])
    return [TableRow(safe_text(key), list(map(_setting, values))) for key, values in rows.items()]


class ClassAccuracies(NamedTuple):
    """Accuracy by class, of all runs on the same kind of images."""

    title: str
    rows: list[TableRow]


def class_accuracy_rows(runs: Sequence[ComparedRun]) -> ClassAccuracies:
    """Each class: the first run's accuracy, and how the others differ; the most different first.

    Of the test where all runs have had it, or else of the last validation of each.
    """
    states = [run.state for run in runs]
    tested = all(state.test for state in states)
    counts = [_by_class(state, state.test if tested else None) for state in states]
    names = list(dict.fromkeys(name for each in counts for name in each))
    shares = {name: [each.get(name) for each in counts] for name in names}
    names.sort(key=lambda name: -_spread(shares[name]))
    rows = [
        TableRow(safe_text(name), _changes(shares[name]), _best(shares[name], max))
        for name in names
    ]
    return ClassAccuracies("test" if tested else "last validation", rows)


def _by_class(state: RunState, test: TestFinished | None) -> dict[str, float | None]:
    counts = test or (state.validated_epochs[-1] if state.validated_epochs else None)
    if counts is None or state.prepared is None:
        return {}
    rows = zip(state.prepared.classes, counts.correct, counts.total, strict=False)
    return {name: correct / total if total else None for name, correct, total in rows}


def _spread(shares: Sequence[float | None]) -> float:
    known = [share for share in shares if share is not None]
    return max(known) - min(known) if known else 0.0


def _changes(shares: Sequence[float | None]) -> list[str]:
    """The first as it is, the others against it in percentage points."""
    first, *others = shares
    cells = ["–" if first is None else percent(first)]
    for share in others:
        if share is None:
            cells.append("–")
        elif first is None:
            cells.append(percent(share))
        else:
            points = round(100 * (share - first), 1)
            cells.append(f"{points:+.1f}" if points else "0.0")
    return cells


def _judged(
    label: str,
    values: Sequence[float | None],
    text: Callable[[float | None], str],
    better: Callable[..., float],
) -> TableRow:
    return TableRow(label, [text(value) for value in values], _best(values, better))


def _best(values: Sequence[float | None], better: Callable[..., float]) -> frozenset[int]:
    """Which have the best value, where not all have the same."""
    known = [value for value in values if value is not None and not math.isnan(value)]
    if len(set(known)) < 2:
        return frozenset()
    best = better(known)
    return frozenset(place for place, value in enumerate(values) if value == best)


def _of(event: EpochFinished | TestFinished | None, name: str) -> float | None:
    return None if event is None else getattr(event, name)


def _percent(share: float | None) -> str:
    return "–" if share is None else percent(share, 2)


def _whole(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}"


def _epochs(state: RunState) -> str:
    asked = f" of {state.total_epochs}" if state.total_epochs else ""
    return f"{len(state.epochs)}{asked}"


def _last_train(state: RunState) -> str:
    return decimal(state.epochs[-1].train_loss) if state.epochs else "–"


def _speed(state: RunState) -> float | None:
    """Images a second in training, over the whole run."""
    seconds = sum(epoch.train_seconds for epoch in state.epochs)
    if not state.prepared or not seconds:
        return state.images_per_second
    return state.prepared.train_images * len(state.epochs) / seconds


def _parameters(state: RunState) -> str:
    return f"{state.prepared.parameters:,}" if state.prepared else "–"


def _device(state: RunState) -> str:
    if state.prepared is None:
        return "–"
    return safe_text(f"{state.prepared.device} {state.prepared.precision}")


def _setting(value: object) -> str:
    """A value as it is written in a config."""
    if value is None:
        return "–"
    return safe_text(value if isinstance(value, str) else json.dumps(value))
