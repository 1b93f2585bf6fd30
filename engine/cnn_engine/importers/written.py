"""Compares the contents of a changed log with what was written of it."""

import math
import struct
from array import array
from bisect import bisect_left, bisect_right

from cnn_engine.importers.series import Series
from cnn_engine.importers.timeline import Layout, Timeline
from cnn_engine.runlog.events import EpochFinished, ImportRevised, StepsFinished


class Written:
    """Steps, epochs and values that were written.

    Events are kept as a hash each to save memory.
    """

    def __init__(self) -> None:
        self._layout: Layout | None = None
        self._hashes = array("q")
        self._steps = array("q")
        """Step of each event, of the log."""
        self._are_epochs = array("b")
        """1 for each event that finishes an epoch."""
        self._ends = array("q")
        """Last of the steps that share an event, if any do."""
        self._series: dict[str, tuple[array[int], array[float]]] = {}
        """Steps and values by series."""

    @property
    def events(self) -> int:
        """Number of events with steps and epochs."""
        return len(self._hashes)

    @property
    def values(self) -> dict[str, int]:
        """Number of values by series."""
        return {name: len(steps) for name, (steps, _) in self._series.items()}

    def append(self, step: int, event: StepsFinished | EpochFinished) -> None:
        """Add an event that was written."""
        self._hashes.append(_hash(event))
        self._steps.append(step)
        self._are_epochs.append(isinstance(event, EpochFinished))

    def update(self, timeline: Timeline) -> None:
        """Add all values of a timeline, which were written."""
        self._layout = timeline.layout
        if not timeline.ends:
            return
        last = timeline.ends[-1]
        if timeline.layout.merged > 1:
            self._ends = array("q", timeline.ends)
        for name, values in timeline.series.items():
            end = bisect_right(values.steps, last)
            steps, known = self._series.setdefault(name, (array("q"), array("d")))
            begin = len(steps)
            steps += values.steps[begin:end]
            known += values.values[begin:end]

    def revise(self, timeline: Timeline) -> ImportRevised | None:
        """Forget what differs from a timeline.

        Returns:
            The event that undoes it; None if nothing differs.
        """
        change = self._first_change(timeline)
        if change is None or not self._series:
            return None
        kept = bisect_left(timeline.ends, change)
        last = timeline.ends[kept - 1] if kept else -math.inf
        count = bisect_right(self._steps, last)
        for column in (self._hashes, self._steps, self._are_epochs):
            del column[count:]
        self._ends = self._ends[:kept]
        for steps, values in self._series.values():
            end = bisect_right(steps, last)
            del steps[end:], values[end:]
        self._series = {name: found for name, found in self._series.items() if found[0]}
        epoch, step = timeline.layout.position(timeline.ends[kept - 1]) if kept else (0, 0)
        finished = sum(self._are_epochs)
        return ImportRevised(time=timeline.end, epoch=epoch, step=step, finished_epochs=finished)

    def _first_change(self, timeline: Timeline) -> float | None:
        """Return the first step whose events differ; None if all of them are in the timeline."""
        if self._layout is None:
            return None
        if self._has_moved(self._layout, timeline.layout):
            return -math.inf
        changes = [self._changed_event(timeline)]
        for name, (steps, values) in self._series.items():
            changes.append(_changed_value(steps, values, timeline.series.get(name, Series())))
        if timeline.layout.merged > 1:
            changes.append(self._changed_group(timeline))
        return min((change for change in changes if change is not None), default=None)

    def _has_moved(self, old: Layout, new: Layout) -> bool:
        """Return True if what was written has another position now."""
        if (old.shift, old.merged) != (new.shift, new.merged):
            return True
        last = max((steps[-1] for steps, _ in self._series.values() if steps), default=0)
        epoch = old.position(last)[0]
        return epoch != new.position(last)[0] or (
            epoch > 1 and old.steps_per_epoch != new.steps_per_epoch
        )

    def _changed_event(self, timeline: Timeline) -> int | None:
        found = timeline.events
        for index, written in enumerate(self._hashes):
            if index == len(found):
                return self._steps[index]
            step, event = found[index]
            if written != _hash(event):
                return min(step, self._steps[index])
        return None

    def _changed_group(self, timeline: Timeline) -> int | None:
        """Return the first step with values that join others which were written together."""
        for old, new in zip(self._ends, timeline.ends, strict=False):
            if old != new:
                return min(old, new)
        last = self._ends[-1] if self._ends else -math.inf
        firsts = (
            values.steps[begin]
            for name, values in timeline.series.items()
            if (begin := len(self._series.get(name, ((), ()))[0])) < len(values)
        )
        first = min(firsts, default=math.inf)
        return int(first) if first <= last else None


def _changed_value(steps: "array[int]", values: "array[float]", found: Series) -> int | None:
    """Return the first step at which a series differs from its values before."""
    count = len(steps)
    if _start(found.steps, count) == _bytes(steps) and _start(found.values, count) == _bytes(
        values
    ):
        return None
    for index, (step, value) in enumerate(zip(steps, values, strict=True)):
        if index == len(found):
            return step
        other = found.values[index]
        is_same = value == other or (math.isnan(value) and math.isnan(other))
        if step != found.steps[index] or not is_same:
            return min(step, found.steps[index])
    return None


def _start(column: "array[int] | array[float]", count: int) -> memoryview:
    return _bytes(column)[: count * column.itemsize]


def _bytes(column: "array[int] | array[float]") -> memoryview:
    return memoryview(column).cast("B") if column else memoryview(b"")  # empty views have no cast


def _hash(event: StepsFinished | EpochFinished) -> int:
    """Return a hash that is the same for every NaN."""
    if isinstance(event, EpochFinished):
        return hash(repr(event))
    numbers = event.time, event.loss, event.lr, event.seconds
    return hash(struct.pack("<4d3q", *numbers, event.epoch, event.step, event.steps))
