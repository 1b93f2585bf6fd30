"""Events with the values of all series of a log."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping

from cnn_engine.importers.timeline import Timeline
from cnn_engine.runlog.events import ScalarsLogged
from cnn_engine.runlog.window import Window

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
        windows = [Window() for _ in ends]
        times = [-math.inf] * len(ends)
        for name, values in timeline.series.items():
            start = starts[name]
            starts[name] = end = bisect_right(values.steps, ends[-1], start)
            index = 0
            for position in range(start, end):
                step = values.steps[position]
                while ends[index] < step:
                    index += 1
                windows[index].add(name, values.values[position])
                times[index] = max(times[index], values.times[position])
        for step, window, time in zip(ends, windows, times, strict=True):
            if window:
                epoch, _ = timeline.layout.position(step)
                yield step, window.event(step + timeline.layout.shift, epoch, time)
