"""Entries of what a loop does, in the order in which it does it."""

from typing import NamedTuple, TypeAlias

from cnn_engine.tracking.counts import Counts
from cnn_engine.tracking.values import Value


class Logged(NamedTuple):
    """A call of `log`. All times are seconds by the clock of the run, which leaves out pauses."""

    values: dict[str, Value]

    time: float

    step: int | None = None
    """Number of the step as the loop gives it; None if it does not."""

    counted: int | None = None
    """Steps counted by `steps`; None if the loop does not use it."""

    is_step: bool = True
    """False if the call is not to be counted as a step."""


class EpochBegun(NamedTuple):
    """`epochs` began an epoch."""

    epoch: int
    """Counted from 1."""

    time: float


class EpochEnded(NamedTuple):
    """The body of a loop over `epochs` ended."""

    is_complete: bool
    """False if the loop was left within the epoch."""

    time: float


class PassBegun(NamedTuple):
    """`steps` began another pass through the data."""

    length: int
    """Batches of the pass; 0 if unknown."""

    batch_size: int
    """Images of a batch; 0 if unknown."""

    time: float


class PassSkipped(NamedTuple):
    """`steps` gave no batch, as a command has stopped the loop."""

    time: float


class Validated(NamedTuple):
    """Counts of a validation."""

    counts: Counts

    time: float


Entry: TypeAlias = Logged | EpochBegun | EpochEnded | PassBegun | PassSkipped | Validated
