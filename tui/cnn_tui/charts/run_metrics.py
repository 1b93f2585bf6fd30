"""All series of a run, with losses, accuracies and rate of cnn-tui's own loop."""

import math
from typing import NamedTuple, TypeAlias

from cnn_engine.runlog.curve import Curve
from cnn_engine.runlog.events import EpochFinished
from cnn_engine.runlog.state import RunState
from cnn_tui.charts.binning import BinnedCurve, Window
from cnn_tui.charts.loss import SMOOTHINGS

TRAIN_LOSS, VAL_LOSS = "train/loss", "val/loss"
TRAIN_ACCURACY, VAL_ACCURACY = "train/accuracy in %", "val/accuracy in %"
RATE = "learning rate"

Binned: TypeAlias = dict[str, BinnedCurve]
"""Binned curves of series by name."""


class Metric(NamedTuple):
    """A series of values."""

    curve: Curve

    last: float
    """Latest value; may be NaN or infinite."""


class RunMetrics:
    """The series of a run, which grow with it."""

    def __init__(self) -> None:
        self._by_epoch: dict[str, Curve] = {}
        self._epoch_count = 0
        self._undos: object = None

    def read(self, state: RunState) -> dict[str, Metric]:
        """Return the series that have values, by name."""
        logged = {name: Metric(series.curve, series.last) for name, series in state.series.items()}
        if state.loop or (state.imported and logged):  # all are logged as series
            return logged
        self._add_epochs(state)
        known = {TRAIN_LOSS: state.curve, **self._by_epoch, RATE: state.lr_curve}
        own = {name: Metric(curve, curve.losses[-1]) for name, curve in known.items() if curve}
        return own | logged

    def _add_epochs(self, state: RunState) -> None:
        """Add the epochs that have finished since the last call."""
        undos = id(state), state.undos
        if self._undos != undos or len(state.epochs) < self._epoch_count:
            self._undos, self._epoch_count = undos, 0
            names = VAL_LOSS, TRAIN_ACCURACY, VAL_ACCURACY
            self._by_epoch = {name: Curve(typecode="f") for name in names}
        for epoch in state.epochs[self._epoch_count :]:
            step = state.end_of(epoch)
            for name, value in _values(epoch).items():
                if self._by_epoch[name] or not math.isnan(value):  # else it is not measured
                    self._by_epoch[name].add(step, value, value, value)
        self._epoch_count = len(state.epochs)


def _values(epoch: EpochFinished) -> dict[str, float]:
    values = {TRAIN_ACCURACY: 100 * epoch.train_accuracy}
    if epoch.is_validated:
        values |= {VAL_LOSS: epoch.val_loss, VAL_ACCURACY: 100 * epoch.val_accuracy}
    return values


class BinnedMetrics:
    """Binned curves of the series in view; while the window is the same, points are added."""

    def __init__(self) -> None:
        self._binned: dict[str, tuple[Curve, int, BinnedCurve]] = {}

    def bin(self, metrics: dict[str, Metric], window: Window, smoothing: int) -> Binned:
        """Return the binned curves of all these series, and forget those of others."""
        binned = {}
        for name, (curve, _) in metrics.items():
            known = self._binned.get(name)
            is_same = known and known[0] is curve and known[1] == smoothing
            if known is None or not is_same or known[2].window != window:
                known = curve, smoothing, BinnedCurve(window, SMOOTHINGS[smoothing][1])
            known[2].extend(curve)
            binned[name] = known
        self._binned = binned
        return {name: bins for name, (_, _, bins) in binned.items()}
