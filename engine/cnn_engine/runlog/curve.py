"""The training loss over a run: of most runs all points, of a very long one as many as fit."""

from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import NamedTuple, overload

MAX_STEP = (1 << 63) - 1
"""Step that no training reaches, though a damaged log may say so."""

MAX_POINTS = 1 << 17
"""Of a curve in memory, which is 18 hours of two events a second, and 5 MB."""


class CurvePoint(NamedTuple):
    """Training loss over a few steps, which keeps their extremes."""

    step: int
    """Steps since the start of the run, at the end of these."""

    loss: float
    """Mean."""

    low: float
    """Least."""

    high: float
    """Greatest."""

    seconds: float = 0.0
    """Time that training and validation took so far, without pauses, in single precision."""


class Curve(Sequence[CurvePoint]):
    """Points in the order of steps, 36 bytes each; the columns are there for whoever draws them."""

    def __init__(self, points: Sequence[CurvePoint] = (), *, adds_a_point: int = 1) -> None:
        """Add some points; of what is added, so many make a point together."""
        self.steps = array("q")
        self.losses = array("d")
        self.lows = array("d")
        self.highs = array("d")
        self.seconds = array("f")
        self._adds_a_point = adds_a_point
        self._begun: list[CurvePoint] = []
        for point in points:
            self.add(*point)

    def add(self, step: int, loss: float, low: float, high: float, seconds: float = 0.0) -> None:
        """Append a point, or what is a part of one."""
        if self._adds_a_point > 1:
            self._begun.append(CurvePoint(step, loss, low, high, seconds))
            if len(self._begun) < self._adds_a_point:
                return
            _, losses, lows, highs, _ = zip(*self._begun, strict=True)
            loss, low, high = sum(losses) / len(losses), min(lows), max(highs)
            self._begun.clear()
        try:
            self.steps.append(step)
        except OverflowError:
            self.steps.append(MAX_STEP if step > 0 else -MAX_STEP)
        self.losses.append(loss)
        self.lows.append(low)
        self.highs.append(high)
        self.seconds.append(seconds)

    def halved(self) -> "Curve":
        """A curve of its own with a point for every two of an even number; no extreme is lost."""
        curve = Curve(adds_a_point=2 * self._adds_a_point)
        curve.steps, curve.seconds = self.steps[1::2], self.seconds[1::2]
        pairs = zip(self.losses[::2], self.losses[1::2], strict=True)
        curve.losses = array("d", ((first + second) / 2 for first, second in pairs))
        curve.lows = array("d", map(min, self.lows[::2], self.lows[1::2]))
        curve.highs = array("d", map(max, self.highs[::2], self.highs[1::2]))
        return curve

    def until(self, step: int) -> "Curve":
        """The points up to a step, as a curve of its own."""
        end = bisect_right(self.steps, step)
        curve = Curve(adds_a_point=self._adds_a_point)
        curve.steps, curve.losses = self.steps[:end], self.losses[:end]
        curve.lows, curve.highs = self.lows[:end], self.highs[:end]
        curve.seconds = self.seconds[:end]
        return curve

    def __len__(self) -> int:
        return len(self.steps)

    @overload
    def __getitem__(self, index: int) -> CurvePoint: ...
    @overload
    def __getitem__(self, index: slice) -> list[CurvePoint]: ...
    def __getitem__(self, index: int | slice) -> CurvePoint | list[CurvePoint]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        return CurvePoint(
            self.steps[index],
            self.losses[index],
            self.lows[index],
            self.highs[index],
            self.seconds[index],
        )

    def __iter__(self) -> Iterator[CurvePoint]:
        return map(CurvePoint, self.steps, self.losses, self.lows, self.highs, self.seconds)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Curve) and self._bytes() == other._bytes()

    def __repr__(self) -> str:
        return f"Curve({list(self)})"

    __hash__ = None  # type: ignore[assignment]  # it grows

    def _bytes(self) -> list[bytes]:
        """All there is, comparable: by its bytes, a curve with NaN in it is equal to itself."""
        columns = (self.steps, self.losses, self.lows, self.highs, self.seconds)
        return [column.tobytes() for column in columns]
