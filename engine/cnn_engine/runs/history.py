"""The steps of a run from its log, one after the other: for what is too long to be kept."""

from collections.abc import Iterator
from itertools import accumulate

from cnn_engine.runlog.events import RolledBack, RunResumed, StepsFinished
from cnn_engine.runlog.log import LogReader
from cnn_engine.runs.directory import RunDirectory

_END = (1 << 62, 0)
"""A place that no training reaches."""


def read_steps(run: RunDirectory) -> Iterator[StepsFinished]:
    """The steps that training stands on: those that no resume and no rollback took back.

    The log is read twice, and nothing of it is kept: first for how far it is taken back later on.

    Raises:
        OSError: the log cannot be read.
    """
    places = [
        (event.epoch, event.step)
        for event in LogReader(run.events).poll()
        if isinstance(event, RunResumed | RolledBack)
    ]
    # What is taken back stays so: of all the places still to come, the earliest holds.
    limits = iter([*accumulate(reversed(places), min)][::-1])
    limit = next(limits, _END)
    for event in LogReader(run.events).poll():
        if isinstance(event, StepsFinished):
            if (event.epoch, event.step) <= limit:
                yield event
        elif isinstance(event, RunResumed | RolledBack):
            limit = next(limits, _END)
