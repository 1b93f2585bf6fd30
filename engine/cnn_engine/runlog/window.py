"""Values of series that are logged in one event."""

import math

from cnn_engine.runlog.events import Scalar, ScalarsLogged


class Totals:
    """Count, mean, extremes and last of some values."""

    __slots__ = ("count", "high", "last", "low", "newest", "not_finite", "total")

    def __init__(self) -> None:
        self.count = 0
        """Number of finite values."""
        self.total = 0.0
        self.low, self.high = math.inf, -math.inf
        self.last = math.nan
        """Last finite value."""
        self.newest = math.nan
        """Last value."""
        self.not_finite = ""
        """Last value that is not finite: `nan`, `inf` or `-inf`; empty without one."""

    def add(self, value: float) -> None:
        """Add a value."""
        self.newest = value
        if math.isfinite(value):
            self.last = value
            self.count += 1
            self.total += value
            if value < self.low:  # noqa: PLR1730 - faster than min
                self.low = value
            if value > self.high:  # noqa: PLR1730 - faster than max
                self.high = value
        else:
            self.not_finite = str(value)

    @property
    def mean(self) -> float:
        """Mean of the values; the last that is not finite, if there is any; NaN without values."""
        if self.not_finite:
            return float(self.not_finite)
        return self.finite_mean if self.count else math.nan

    @property
    def latest_mean(self) -> float:
        """Mean of the finite values; the last value if that is not finite."""
        return self.finite_mean if math.isfinite(self.newest) else self.newest

    @property
    def finite_mean(self) -> float:
        """Mean of the finite values, of which there must be one; between the extremes."""
        return min(max(self.total / self.count, self.low), self.high)  # the sum may overflow

    @property
    def scalar(self) -> Scalar:
        """Mean, minimum, maximum and last of the finite values, or the value alone if equal."""
        if self.low == self.high:
            return (self.low,)
        return self.finite_mean, self.low, self.high, self.last


class Window(dict[str, Totals]):
    """Totals by series."""

    def add(self, name: str, value: float) -> None:
        """Add a value of a series."""
        totals = self.get(name)
        if totals is None:
            totals = self[name] = Totals()
        totals.add(value)

    def event(self, step: int, epoch: int, time: float) -> ScalarsLogged:
        """Return the event with these values."""
        return ScalarsLogged(
            time=time,
            step=step,
            epoch=epoch,
            values={name: totals.scalar for name, totals in self.items() if totals.count},
            not_finite={
                name: totals.not_finite for name, totals in self.items() if totals.not_finite
            },
        )
