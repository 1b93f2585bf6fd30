"""Compared runs, and the rows of tables with a column for each of them."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from cnn_engine.results.comparison import compared_settings, config_differences
from cnn_engine.runlog.best_metric import VAL_ACCURACY, VAL_LOSS
from cnn_engine.runlog.events import EpochFinished, TestFinished
from cnn_engine.runlog.state import RunState
from cnn_tui.charts.traces import TraceCache
from cnn_tui.live.follower import Follower
from cnn_tui.text.json import config_value_text
from cnn_tui.text.numbers import decimal, duration, out_of, percent
from cnn_tui.text.safe import safe_text
from cnn_tui.text.series import series_cell, shared_series

MAX_NAME_LENGTH = 40


class ComparedRun:
    """A run that is compared with others."""

    def __init__(self, follower: Follower, index: int) -> None:
        self.follower = follower
        self.curves = TraceCache(index)

    @property
    def state(self) -> RunState:
        """The run as far as its log has been read."""
        return self.follower.state

    @property
    def name(self) -> str:
        """The name that the user gave it, or its id."""
        started = self.state.started
        return safe_text((started.name if started else "") or self.follower.run.id, MAX_NAME_LENGTH)

    @property
    def status(self) -> str:
        """Status in one word."""
        if self.follower.waiting:
            return "queued"
        if not self.state.has_ended and not self.follower.is_live:
            return "interrupted"
        return "restarting" if self.follower.is_restarting else self.state.status


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
    tests = [state.test for state in states]
    return [
        TableRow("status", [run.status for run in runs]),
        TableRow("epochs", [_epochs(state) for state in states]),
        _metric_row("test accuracy", [_value(test, "accuracy") for test in tests], _percent, max),
        *significance,
        _metric_row("test loss", [_value(test, "loss") for test in tests], decimal, min),
        *_best_rows(states),
        TableRow("last train loss", [_last_train(state) for state in states]),
        TableRow("time", [duration(state.elapsed_seconds) for state in states]),
        _metric_row(_speed_unit(states), [_speed(state) for state in states], _count, max),
        TableRow("parameters", [_parameters(state) for state in states]),
        TableRow("device", [_device(state) for state in states]),
        *series_rows(states),
    ]


def _best_rows(states: Sequence[RunState]) -> list[TableRow]:
    """Return the values of each run's best epoch; the first row is the metric that selects it."""
    bests = [state.best for state in states]
    loss, accuracy = (
        [_value(best, name) for best in bests] for name in ("val_loss", "val_accuracy")
    )
    epochs = TableRow("  its epoch", [str(best.epoch) if best else "–" for best in bests])
    if all(state.best_metric is VAL_ACCURACY for state in states):
        first = _metric_row("best val accuracy", accuracy, _percent, max)
        return [first, _metric_row("  its loss", loss, decimal, min), epochs]
    if all(state.best_metric is VAL_LOSS for state in states):
        first = _metric_row("best val loss", loss, decimal, min)
        return [first, _metric_row("  its accuracy", accuracy, _percent, max), epochs]
    by = TableRow("best epoch by", [state.best_metric.short for state in states])
    macro_f1 = [_value(best, "val_macro_f1") for best in bests]
    return [
        by,
        epochs,
        _metric_row("  its val loss", loss, decimal, min),
        _metric_row("  its accuracy", accuracy, _percent, max),
        _metric_row("  its macro F1", macro_f1, decimal, max),
    ]


def series_rows(states: Sequence[RunState]) -> list[TableRow]:
    """Return a row for each series that two runs have: last value, lowest and highest."""
    return [
        TableRow(safe_text(name, MAX_NAME_LENGTH), [series_cell(state, name) for state in states])
        for name in shared_series(states)
    ]


def config_rows(runs: Sequence[ComparedRun]) -> list[TableRow]:
    """Return the config keys in which the runs differ, with the value of each run."""
    rows = config_differences([compared_settings(run.state) for run in runs])
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
    states = [run.state for run in runs]
    all_tested = all(state.test for state in states)
    by_run = [_accuracies(state, state.test if all_tested else None) for state in states]
    names = list(dict.fromkeys(name for run in by_run for name in run))
    accuracies = {name: [run.get(name) for run in by_run] for name in names}
    names.sort(key=lambda name: -_range(accuracies[name]))
    rows = [
        TableRow(safe_text(name), _difference_cells(accuracies[name]), _best(accuracies[name], max))
        for name in names
    ]
    return ClassAccuracies("test" if all_tested else "last validation", rows)


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
    values: Sequence[float | None],
    to_text: Callable[[float | None], str],
    choose: Callable[..., float],
) -> TableRow:
    """Return a row of texts; `choose` is min or max, the better direction of the metric."""
    return TableRow(label, [to_text(value) for value in values], _best(values, choose))


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


def _last_train(state: RunState) -> str:
    return decimal(state.epochs[-1].known_train_loss) if state.epochs else "–"


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
