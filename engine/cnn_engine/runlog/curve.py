"""Training loss curve of a run, complete unless the run is very long."""

from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple, overload

MAX_STEP = (1 << 63) - 1
"""Greatest step of a point; a damaged log may contain greater ones."""

MAX_POINTS = 1 << 17
"""Points of a curve in memory: 18 hours at two events per second, 5 MB."""


class CurvePoint(NamedTuple):
    """Training loss over a few steps."""

    step: int
    """Steps since the start of the run, after these."""

    loss: float
    """Mean loss."""

    low: float
    """Minimum loss of a step."""

    high: float
    """Maximum loss of a step."""

    seconds: float = 0.0
    """Duration of training and validation so far without pauses, as float32."""


def append_step(steps: "array[int]", step: int) -> None:
    """Append a step, or the greatest that is possible."""
    try:
        steps.append(step)
    except OverflowError:
        steps.append(MAX_STEP if step > 0 else -MAX_STEP)


class Curve(Sequence[CurvePoint]):
    """Points ordered by step, 36 bytes each, or 24 as float32, also accessible as columns."""

    def __init__(
        self,
        points: Sequence[CurvePoint] = (),
        *,
        events_per_point: int = 1,
        typecode: Literal["d", "f"] = "d",
    ) -> None:
        """Create a curve.

        Args:
            points: Points to add.
            events_per_point: Number of later calls of `add` that are merged into one point.
            typecode: `f` to keep the losses as float32.
        """
        self.steps = array("q")
        self.losses = array(typecode)
        self.lows = array(typecode)
        self.highs = array(typecode)
        self.seconds = array("f")
        self._typecode = typecode
        self._events_per_point = events_per_point
        self._pending: list[CurvePoint] = []
        for point in points:
            self.add(*point)

    def add(self, step: int, loss: float, low: float, high: float, seconds: float = 0.0) -> None:
        """Append a point, or part of one if points are merged. Values are those of `CurvePoint`."""
        if self._events_per_point > 1:
            self._pending.append(CurvePoint(step, loss, low, high, seconds))
            if len(self._pending) < self._events_per_point:
                return
            _, losses, lows, highs, _ = zip(*self._pending, strict=True)
            loss, low, high = sum(losses) / len(losses), min(lows), max(highs)
            self._pending.clear()
        append_step(self.steps, step)
        self.losses.append(loss)
        self.lows.append(low)
        self.highs.append(high)
        self.seconds.append(seconds)

    def halved(self) -> "Curve":
        """Return a copy with points merged in pairs; the last of an odd number is kept pending."""
        typecode = self._typecode
        curve = Curve(events_per_point=2 * self._events_per_point, typecode=typecode)
        curve.steps, curve.seconds = self.steps[1::2], self.seconds[1::2]
        pairs = zip(self.losses[::2], self.losses[1::2], strict=False)
        curve.losses = array(typecode, ((first + second) / 2 for first, second in pairs))
        curve.lows = array(typecode, map(min, self.lows[::2], self.lows[1::2]))
        curve.highs = array(typecode, map(max, self.highs[::2], self.highs[1::2]))
        if len(self) % 2:
            curve._pending = [self[-1]] * self._events_per_point
        curve._pending += self._pending
        return curve

    def until(self, step: int) -> "Curve":
        """Return a copy with the points up to a step."""
        end = bisect_right(self.steps, step)
        curve = Curve(events_per_point=self._events_per_point, typecode=self._typecode)
        curve.steps, curve.losses = self.steps[:end], self.losses[:end]
        curve.lows, curve.highs = self.lows[:end], self.highs[:end]
        curve.seconds = self.seconds[:end]
        curve._pending = [point for point in self._pending if point.step <= step]
        return curve

    def __len__(self) -> int:
        return len(self.steps)

    @overload
    def __getitem__(self, index: int) -> CurvePoint: ...
    @overload
    def __getitem__(self, index: slice) -> list[CurvePoint]: ...
    def __getitem__(self, index: int | slice) -> CurvePoint | list[CurvePoint]:
        if isinstance(index, slice):
            return [self[position] for position in range(*index.indices(len(self)))]
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
        """Return all columns as bytes, in which NaN equals NaN."""
        columns = (self.steps, self.losses, self.lows, self.highs, self.seconds)
        return [column.tobytes() for column in columns]
