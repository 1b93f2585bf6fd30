"""Reads the training steps and series of a run from its log, without keeping them in memory."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import accumulate
from typing import Any, TypeVar

from cnn_engine.runlog.events import (
    Event,
    ImportRevised,
    LoopDescribed,
    RolledBack,
    RunResumed,
    ScalarsLogged,
    StepsFinished,
)
from cnn_engine.runlog.log import LogReader
from cnn_engine.runlog.position import position_of
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
    undoing: list[tuple[Event, int]] = []
    length = 0  # of an epoch of another loop; may be corrected
    for event in LogReader(run.events).poll():
        if isinstance(event, LoopDescribed):
            length = event.steps_per_epoch
        elif isinstance(event, _UNDOING):
            undoing.append((event, length))
    last_length, length = length, 0
    positions = [position(_place(event, old, last_length)) for event, old in undoing]
    # What is undone stays undone: the limit is the earliest of all positions still to come.
    limits = iter([*accumulate(reversed(positions), min)][::-1])
    limit = next(limits, _END)
    for event in LogReader(run.events).poll():
        if isinstance(event, kind):
            placed = _place(event, length, last_length)
            if position(placed) <= limit:
                yield placed
        elif isinstance(event, LoopDescribed):
            length = event.steps_per_epoch
        elif isinstance(event, _UNDOING):
            limit = next(limits, _END)


def _place(event: Logged, old: int, new: int) -> Logged:
    """Return an event with its position in epochs of another length; 0 is an unknown one."""
    if old == new or not isinstance(event, StepsFinished | RunResumed | RolledBack):
        return event
    total = (event.epoch - 1) * old + event.step
    epoch, step = position_of(total, new, event.epoch)
    return replace(event, epoch=epoch, step=step)
