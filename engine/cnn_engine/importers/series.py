"""Series of values by step."""

from array import array
from bisect import bisect_left, bisect_right
from itertools import pairwise

MAX_STEP = 1 << 53
"""Values with a greater step are refused by the sources; the log holds integers of 64 bits."""


class Series:
    """Values with strictly increasing steps, and their times.

    As in TensorBoard, a value whose step is not greater than the last one replaces all values from
    its step on: training was restarted there.
    """

    def __init__(self) -> None:
        self.steps = array("q")
        self.times = array("d")
        """Seconds since 1970."""
        self.values = array("d")
        self.order = array("d")
        """Positions in the log: times, or rows of a table without times."""
        self.has_percent_sign = False
        """True if values were written with a percent sign."""
        self.lowest: int | None = None
        """Lowest step that was ever added."""
        self.replaced = 0
        """Number of values that were replaced by later ones."""

    def add(self, step: int, time: float, value: float, row: int | None = None) -> None:
        """Add a value; `step` must be within `MAX_STEP`."""
        if self.steps and step <= self.steps[-1]:
            if step == self.steps[-1] and value == self.values[-1]:
                return  # logged twice
            self.replaced += self.cut(step)
        if self.lowest is None or step < self.lowest:
            self.lowest = step
        self.steps.append(step)
        self.times.append(time)
        self.values.append(value)
        self.order.append(time if row is None else row)

    def cut(self, step: int) -> int:
        """Remove the values from a step on; return their number."""
        end = bisect_left(self.steps, step)
        removed = len(self.steps) - end
        for column in (self.steps, self.times, self.values, self.order):
            del column[end:]
        return removed

    def extend(self, other: "Series") -> None:
        """Add the values of a later file."""
        if other.lowest is not None:
            self.replaced += self.cut(other.lowest)
            self.lowest = other.lowest if self.lowest is None else min(self.lowest, other.lowest)
        self.steps += other.steps
        self.times += other.times
        self.values += other.values
        self.order += other.order
        self.replaced += other.replaced

    def moved_to(self, reference: "Series") -> "Series":
        """Return the series with the steps of a reference at the same positions in the log.

        Returns:
            The series itself, unless its steps count epochs and those of the reference batches,
            which their positions must confirm.
        """
        if not self.steps or not reference.steps or not _are_counted(self.steps):
            return self
        last = self.steps[-1]
        if reference.steps[-1] <= 2 * (last + 1):
            return self
        positions = [bisect_right(reference.order, position) - 1 for position in self.order]
        steps = [reference.steps[max(0, position)] for position in positions]
        is_increasing = all(first < second for first, second in pairwise(steps))
        if not is_increasing or positions[0] < 0 or steps[-1] <= 2 * (last + 1):
            return self
        return self._with(array("q", steps), self.values)

    def divided(self, divisor: float) -> "Series":
        """Return the series with divided values."""
        return self._with(self.steps, array("d", (value / divisor for value in self.values)))

    def _with(self, steps: "array[int]", values: "array[float]") -> "Series":
        changed = Series()
        changed.steps, changed.times, changed.values = steps, self.times, values
        changed.order = self.order
        return changed

    def __len__(self) -> int:
        return len(self.steps)


def _are_counted(steps: "array[int]") -> bool:
    """Return True if the steps count 0, 1, 2 or 1, 2, 3 and so on."""
    return steps[0] in (0, 1) and steps[-1] - steps[0] == len(steps) - 1
