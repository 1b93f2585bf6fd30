"""Compared runs, and the rows of tables with a column for each of them."""

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import NamedTuple, TypeAlias

from cnn_engine.results.comparison import config_differences
from cnn_engine.results.group_comparison import merged_settings
from cnn_engine.runlog.best_metric import VAL_ACCURACY, VAL_LOSS
from cnn_engine.runlog.events import EpochFinished, TestFinished
from cnn_engine.runlog.state import RunState
from cnn_engine.runs.groups import Spread
from cnn_engine.runs.summary import LIVE
from cnn_tui.charts.binning import Window
from cnn_tui.charts.traces import (
    OverlayView,
    Trace,
    TraceCache,
    cursor_value_text,
    mean_trace,
    values_at_cursor,
)
from cnn_tui.live.follower import Follower
from cnn_tui.text.json import config_value_text
from cnn_tui.text.numbers import decimal, duration, out_of, percent
from cnn_tui.text.safe import safe_text
from cnn_tui.text.series import series_cell, shared_series
from cnn_tui.text.spreads import short_keys

MAX_NAME_LENGTH = 40


class ComparedRun:
    """A run that is compared with others, or the runs of a setting of a series as one."""

    def __init__(
        self, follower: Follower, index: int, others: Sequence[Follower] = (), name: str = ""
    ) -> None:
        """Compare a run, or a set of runs.

        Args:
            follower: Follows the run, or the first one of the set.
            index: Index among the compared ones, which selects letter and colour.
            others: Follow the other runs of the set.
            name: Name of the set; empty for a run.
        """
        self.follower = follower
        self.followers = [follower, *others]
        self.curves = TraceCache(index)
        self._all_curves = [self.curves, *(TraceCache(index) for _ in others)]
        self._set_name = name

    @property
    def state(self) -> RunState:
        """The run, or the first one, as far as its log has been read."""
        return self.follower.state

    @property
    def states(self) -> list[RunState]:
        """The runs as far as their logs have been read."""
        return [follower.state for follower in self.followers]

    @property
    def is_set(self) -> bool:
        """True for a set of runs."""
        return bool(self._set_name)

    @property
    def name(self) -> str:
        """The name that the user gave it, or its id."""
        if self.is_set:
            return safe_text(short_keys(self._set_name), MAX_NAME_LENGTH)
        started = self.state.started
        return safe_text((started.name if started else "") or self.follower.run.id, MAX_NAME_LENGTH)

    @property
    def status(self) -> str:
        """Status in one word; of a set, that of a live run, or of one that is not done."""
        statuses = [_status(follower) for follower in self.followers]
        return min(statuses, key=lambda status: (status not in LIVE, status == "done"))

    def traces(self, window: Window, view: OverlayView) -> list[Trace]:
        """Return the curves; of a set, the mean of each with a band of its deviation."""
        found = [
            list(cache.traces(state, window, view))
            for cache, state in zip(self._all_curves, self.states, strict=True)
        ]
        if len(found) == 1:
            return found[0]
        by_letter: dict[str, list[Trace]] = {}
        for trace in chain.from_iterable(found):
            by_letter.setdefault(trace.letter, []).append(trace)
        return [mean_trace(traces) for traces in by_letter.values()]

    def value_at_cursor(self, view: OverlayView) -> str:
        """Return the text of the value at the cursor; of a set, of the mean."""
        rows = [
            values_at_cursor(state, cache, view)
            for cache, state in zip(self._all_curves, self.states, strict=True)
        ]
        return cursor_value_text([_mean(values) for values in zip(*rows, strict=True)], view)


def _status(follower: Follower) -> str:
    state = follower.state
    if follower.waiting:
        return "queued"
    if not state.has_ended and not follower.is_live:
        return "interrupted"
    return "restarting" if follower.is_restarting else state.status


def _mean(values: Sequence[float | None]) -> float | None:
    spread = Spread.from_values(values)
    return spread.mean if spread else None


class TableRow(NamedTuple):
    """A line of a table, with a cell for each run."""

    label: str
    cells: list[str]

    best: frozenset[int] = frozenset()
    """Indices of the best runs; empty if all are equal or no value is better."""


def metric_rows(
    runs: Sequence[ComparedRun], significance: Sequence[TableRow] = ()
) -> list[TableRow]:
    """Return the results of the runs.

    Args:
        runs: The runs.
        significance: Rows about the significance of the differences, for below the test accuracy.
    """
    states = [run.state for run in runs]
    counts = [TableRow("runs", [str(len(run.states)) for run in runs])]
    return [
        *(counts if any(run.is_set for run in runs) else []),
        TableRow("status", [run.status for run in runs]),
        TableRow("epochs", [_shared(map(_epochs, run.states)) for run in runs]),
        _metric_row("test accuracy", _tests(runs, "accuracy"), _percent, max),
        *significance,
        _metric_row("test loss", _tests(runs, "loss"), decimal, min),
        *_best_rows(runs),
        _metric_row("last train loss", _values(runs, _last_train), decimal, None),
        _metric_row("time", _values(runs, lambda state: state.elapsed_seconds), _duration, None),
        _metric_row(_speed_unit(states), _values(runs, _speed), _count, max),
        TableRow("parameters", [_shared(map(_parameters, run.states)) for run in runs]),
        TableRow("device", [_shared(map(_device, run.states)) for run in runs]),
        *series_rows(states),
    ]


Values: TypeAlias = Sequence[Sequence[float | None]]
"""Values of each compared run or set."""


def _values(runs: Sequence[ComparedRun], value: Callable[[RunState], float | None]) -> Values:
    return [[value(state) for state in run.states] for run in runs]


def _tests(runs: Sequence[ComparedRun], name: str) -> Values:
    return _values(runs, lambda state: _value(state.test, name))


def _shared(texts: Iterable[str]) -> str:
    """Return the text that all runs of a set have, or the first and the last ones."""
    distinct = sorted(set(texts))
    return distinct[0] if len(distinct) == 1 else f"{distinct[0]} … {distinct[-1]}"


def _best_rows(runs: Sequence[ComparedRun]) -> list[TableRow]:
    """Return the values of each run's best epoch; the first row is the metric that selects it."""
    states = [state for run in runs for state in run.states]
    loss, accuracy, macro_f1 = (
        [[_value(state.best, name) for state in run.states] for run in runs]
        for name in ("val_loss", "val_accuracy", "val_macro_f1")
    )
    epochs = TableRow("  its epoch", [_shared(map(_best_epoch, run.states)) for run in runs])
    if all(state.best_metric is VAL_ACCURACY for state in states):
        first = _metric_row("best val accuracy", accuracy, _percent, max)
        return [first, _metric_row("  its loss", loss, decimal, min), epochs]
    if all(state.best_metric is VAL_LOSS for state in states):
        first = _metric_row("best val loss", loss, decimal, min)
        return [first, _metric_row("  its accuracy", accuracy, _percent, max), epochs]
    by = TableRow("best epoch by", [run.state.best_metric.short for run in runs])
    return [
        by,
        epochs,
        _metric_row("  its val loss", loss, decimal, min),
        _metric_row("  its accuracy", accuracy, _percent, max),
        _metric_row("  its macro F1", macro_f1, decimal, max),
    ]


def _best_epoch(state: RunState) -> str:
    return str(state.best.epoch) if state.best else "–"


def series_rows(states: Sequence[RunState]) -> list[TableRow]:
    """Return a row for each series that two runs have: last value, lowest and highest."""
    return [
        TableRow(safe_text(name, MAX_NAME_LENGTH), [series_cell(state, name) for state in states])
        for name in shared_series(states)
    ]


def config_rows(runs: Sequence[ComparedRun]) -> list[TableRow]:
    """Return the config keys in which the runs differ, with the value of each run."""
    rows = config_differences([merged_settings(run.states) for run in runs])
    return [
        TableRow(safe_text(key), list(map(config_value_text, values)))
        for key, values in rows.items()
    ]


class ClassAccuracies(NamedTuple):
    """Accuracies by class of all runs, and the name of the split."""

    title: str
    rows: list[TableRow]


def class_accuracy_rows(runs: Sequence[ComparedRun]) -> ClassAccuracies:
    """Return the accuracy of the first run by class, and the differences of the others to it.

    The class with the largest range comes first. The accuracies are of the test if all runs have
    been tested, otherwise of each run's last validation.
    """
    all_tested = all(state.test for run in runs for state in run.states)
    by_run = [_set_accuracies(run.states, all_tested=all_tested) for run in runs]
    names = list(dict.fromkeys(name for run in by_run for name in run))
    accuracies = {name: [run.get(name) for run in by_run] for name in names}
    names.sort(key=lambda name: -_range(accuracies[name]))
    rows = [
        TableRow(safe_text(name), _difference_cells(accuracies[name]), _best(accuracies[name], max))
        for name in names
    ]
    return ClassAccuracies("test" if all_tested else "last validation", rows)


def _set_accuracies(states: Sequence[RunState], *, all_tested: bool) -> dict[str, float | None]:
    """Return the mean accuracy by class over the runs of a set."""
    found = [_accuracies(state, state.test if all_tested else None) for state in states]
    names = dict.fromkeys(name for accuracies in found for name in accuracies)
    return {name: _mean([accuracies.get(name) for accuracies in found]) for name in names}


def _accuracies(state: RunState, test: TestFinished | None) -> dict[str, float | None]:
    counts = test or (state.validated_epochs[-1] if state.validated_epochs else None)
    if counts is None:
        return {}
    rows = zip(state.classes, counts.correct, counts.total, strict=False)
    return {name: correct / total if total else None for name, correct, total in rows}


def _range(accuracies: Sequence[float | None]) -> float:
    known = [accuracy for accuracy in accuracies if accuracy is not None]
    return max(known) - min(known) if known else 0.0


def _difference_cells(accuracies: Sequence[float | None]) -> list[str]:
    """Return the first accuracy, and the differences of the others to it in percentage points."""
    first, *others = accuracies
    cells = ["–" if first is None else percent(first)]
    for accuracy in others:
        if accuracy is None:
            cells.append("–")
        elif first is None:
            cells.append(percent(accuracy))
        else:
            points = round(100 * (accuracy - first), 1)
            cells.append(f"{points:+.1f}" if points else "0.0")
    return cells


def _metric_row(
    label: str,
    values: Values,
    to_text: Callable[[float | None], str],
    choose: Callable[..., float] | None,
) -> TableRow:
    """Return a row of texts: of a run its value, of a set mean and deviation.

    `choose` is min or max, the better direction of the metric; None if there is none.
    """
    spreads = [Spread.from_values(each) for each in values]
    means = [spread.mean if spread else None for spread in spreads]
    cells = [_spread_cell(spread, to_text) for spread in spreads]
    return TableRow(label, cells, _best(means, choose) if choose else frozenset())


def _spread_cell(spread: Spread | None, to_text: Callable[[float | None], str]) -> str:
    """Return `94.01 ± 0.14%`, or the value of a single run."""
    if spread is None or spread.deviation is None:
        return to_text(spread.mean if spread else None)
    mean, deviation = to_text(spread.mean), to_text(spread.deviation)
    return f"{mean.removesuffix('%')} ± {deviation}"


def _duration(seconds: float | None) -> str:
    return "–" if seconds is None else duration(seconds)


def _best(values: Sequence[float | None], choose: Callable[..., float]) -> frozenset[int]:
    """Return the indices of the best value; none if all values are equal."""
    known = [value for value in values if value is not None and not math.isnan(value)]
    if len(set(known)) < 2:
        return frozenset()
    best = choose(known)
    return frozenset(index for index, value in enumerate(values) if value == best)


def _value(event: EpochFinished | TestFinished | None, name: str) -> float | None:
    return None if event is None else getattr(event, name)


def _percent(fraction: float | None) -> str:
    return "–" if fraction is None else percent(fraction, 2)


def _count(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}"


def _epochs(state: RunState) -> str:
    return out_of(len(state.epochs), state.total_epochs, " of ")


def _last_train(state: RunState) -> float | None:
    return state.epochs[-1].known_train_loss if state.epochs else None


def _speed_unit(states: Sequence[RunState]) -> str:
    return "images/s" if all(state.is_own for state in states) else "samples/s"


def _speed(state: RunState) -> float | None:
    """Return the training images per second, averaged over the run."""
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
