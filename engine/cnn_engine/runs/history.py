"""Reads the training steps of a run from its log, without keeping them in memory."""

from collections.abc import Iterator
from itertools import accumulate

from cnn_engine.runlog.events import ImportRevised, RolledBack, RunResumed, StepsFinished
from cnn_engine.runlog.log import LogReader
from cnn_engine.runs.directory import RunDirectory

_UNDOING = RunResumed | RolledBack | ImportRevised
"""Events that undo the steps beyond their position."""

_END = (1 << 62, 0)
"""An epoch and step that no training reaches."""


def read_steps(run: RunDirectory) -> Iterator[StepsFinished]:
    """Yield the steps of a run, except those that a later event undid.

    The log is read twice, because later events undo steps.

    Raises:
        OSError: the log cannot be read.
    """
    positions = [
        (event.epoch, event.step)
        for event in LogReader(run.events).poll()
        if isinstance(event, _UNDOING)
    ]
    # Undone steps stay undone: the limit is the earliest of all positions still to come.
    limits = iter([*accumulate(reversed(positions), min)][::-1])
    limit = next(limits, _END)
    for event in LogReader(run.events).poll():
        if isinstance(event, StepsFinished):
            if (event.epoch, event.step) <= limit:
                yield event
        elif isinstance(event, _UNDOING):
            limit = next(limits, _END)
