"""The training loss over a run, kept whole, as a long one has a million points."""

from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import NamedTuple, overload

FURTHEST = (1 << 63) - 1
"""Step that no training reaches, though a damaged log may say so."""


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

    def __init__(self, points: Sequence[CurvePoint] = ()) -> None:
        self.steps = array("q")
        self.losses = array("d")
        self.lows = array("d")
        self.highs = array("d")
        self.seconds = array("f")
        for point in points:
            self.add(*point)

    def add(self, step: int, loss: float, low: float, high: float, seconds: float = 0.0) -> None:
        """Append a point."""
        try:
            self.steps.append(step)
        except OverflowError:
            self.steps.append(FURTHEST if step > 0 else -FURTHEST)
        self.losses.append(loss)
        self.lows.append(low)
        self.highs.append(high)
        self.seconds.append(seconds)

    def until(self, step: int) -> "Curve":
        """The points up to a step, as a curve of its own."""
        end = bisect_right(self.steps, step)
        curve = Curve()
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
