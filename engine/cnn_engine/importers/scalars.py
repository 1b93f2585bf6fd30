"""Events with the values of all series of a log."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping

from cnn_engine.importers.timeline import Timeline
from cnn_engine.runlog.events import Scalar, ScalarsLogged

CHUNK = 1024
"""Events that are made at a time."""


def scalar_events(
    timeline: Timeline, written: Mapping[str, int]
) -> Iterator[tuple[int, ScalarsLogged]]:
    """Yield steps and events with the values that were not written yet, in order of their steps.

    Values of a step are in one event. If steps share an event, it has the mean, minimum, maximum
    and last of their values.

    Args:
        timeline: The series, and the steps that share an event.
        written: Number of values, from the first, that were written, by series.
    """
    starts = {name: written.get(name, 0) for name in timeline.series}
    unwritten = (
        values.steps[start]
        for values, start in zip(timeline.series.values(), starts.values(), strict=True)
        if start < len(values)
    )
    first = bisect_left(timeline.ends, min(unwritten, default=math.inf))
    for chunk in range(first, len(timeline.ends), CHUNK):
        ends = timeline.ends[chunk : chunk + CHUNK]
        events = [_Event() for _ in ends]
        for name, values in timeline.series.items():
            start = starts[name]
            starts[name] = end = bisect_right(values.steps, ends[-1], start)
            index = 0
            for position in range(start, end):
                step = values.steps[position]
                while ends[index] < step:
                    index += 1
                events[index].add(name, values.times[position], values.values[position])
        for step, event in zip(ends, events, strict=True):
            if event.values:
                yield step, event.logged(timeline, step)


class _Event:
    """The values of an event."""

    def __init__(self) -> None:
        self.values: dict[str, list[float]] = {}
        self._time = -math.inf

    def add(self, name: str, time: float, value: float) -> None:
        """Add a value of a series."""
        self.values.setdefault(name, []).append(value)
        self._time = max(self._time, time)

    def logged(self, timeline: Timeline, step: int) -> ScalarsLogged:
        """Return the event."""
        values: dict[str, Scalar] = {}
        not_finite: dict[str, str] = {}
        for name, found in self.values.items():
            finite = [value for value in found if math.isfinite(value)]
            if finite:
                values[name] = _scalar(finite)
            if len(finite) < len(found):
                last = next(value for value in reversed(found) if not math.isfinite(value))
                not_finite[name] = str(last)
        return ScalarsLogged(
            time=self._time,
            step=step + timeline.layout.shift,
            epoch=timeline.layout.position(step)[0],
            values=values,
            not_finite=not_finite,
        )


def _scalar(values: list[float]) -> Scalar:
    lowest, highest = min(values), max(values)
    if lowest == highest:
        return (lowest,)
    try:
        mean = math.fsum(values) / len(values)
    except OverflowError:
        mean = math.fsum(value / len(values) for value in values)
    return min(max(mean, lowest), highest), lowest, highest, values[-1]
