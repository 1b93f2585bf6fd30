"""Reads the training steps and series of a run from its log, without keeping them in memory."""

from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import Any, TypeVar

from cnn_engine.runlog.events import (
    Event,
    ImportRevised,
    RolledBack,
    RunResumed,
    ScalarsLogged,
    StepsFinished,
)
from cnn_engine.runlog.log import LogReader
from cnn_engine.runs.directory import RunDirectory

Logged = TypeVar("Logged", bound=Event)

_UNDOING = RunResumed | RolledBack | ImportRevised
"""Events that undo what lies beyond their position."""

_END = (1 << 62, 0)
"""An epoch and step that no training reaches."""


def read_steps(run: RunDirectory) -> Iterator[StepsFinished]:
    """Yield the steps of a run, except those that a later event undid.

    Raises:
        OSError: the log cannot be read.
    """
    return _read(run, StepsFinished, lambda event: (event.epoch, event.step))


def read_scalars(run: RunDirectory, steps_per_epoch: int) -> Iterator[ScalarsLogged]:
    """Yield the values of a run's series, except those that a later event undid.

    Raises:
        OSError: the log cannot be read.
    """

    def position(event: Any) -> tuple[int, int]:  # noqa: ANN401 - an event with a step
        is_in_epoch = not isinstance(event, ScalarsLogged)
        earlier = max(0, event.epoch - 1) * steps_per_epoch if is_in_epoch else 0
        return earlier + event.step, 0

    return _read(run, ScalarsLogged, position)


def _read(
    run: RunDirectory, kind: type[Logged], position: Callable[[Any], tuple[int, int]]
) -> Iterator[Logged]:
    """Yield the events of a kind; the log is read twice, because later events undo earlier ones."""
    positions = [
        position(event) for event in LogReader(run.events).poll() if isinstance(event, _UNDOING)
    ]
    # What is undone stays undone: the limit is the earliest of all positions still to come.
    limits = iter([*accumulate(reversed(positions), min)][::-1])
    limit = next(limits, _END)
    for event in LogReader(run.events).poll():
        if isinstance(event, kind):
            if position(event) <= limit:
                yield event
        elif isinstance(event, _UNDOING):
            limit = next(limits, _END)
