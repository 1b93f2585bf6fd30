"""Compares the events of a changed log with those that were written of it."""

import struct
from array import array
from collections.abc import Sequence

from cnn_engine.runlog.events import EpochFinished, ImportRevised, StepsFinished


class Written:
    """The steps and epochs that were written, by a hash each to save memory."""

    def __init__(self) -> None:
        self._hashes = array("q")
        self._epochs = array("q")
        self._steps = array("q")
        """Epoch and step of the last training step up to each event; 0 before the first."""
        self._finished = array("q")
        """Number of finished epochs up to each event."""

    def __len__(self) -> int:
        return len(self._hashes)

    @property
    def last_epoch(self) -> int:
        """Epoch of the last training step; 0 without any."""
        return self._epochs[-1] if self._epochs else 0

    def append(self, event: StepsFinished | EpochFinished) -> None:
        """Add an event that was written."""
        epoch, step, finished = self._last()
        if isinstance(event, StepsFinished):
            epoch, step = event.epoch, event.step
        else:
            finished += 1
        self._hashes.append(_hash(event))
        self._epochs.append(epoch)
        self._steps.append(step)
        self._finished.append(finished)

    def count_equal(self, events: Sequence[StepsFinished | EpochFinished]) -> int:
        """Return the number of events, from the first, that equal those that were written."""
        for index, (written, event) in enumerate(zip(self._hashes, events, strict=False)):
            if written != _hash(event):
                return index
        return min(len(self), len(events))

    def remove_from(self, count: int) -> None:
        """Keep only the first events."""
        for column in (self._hashes, self._epochs, self._steps, self._finished):
            del column[count:]

    def revision(self, when: float) -> ImportRevised:
        """Return the event that undoes all events but these."""
        epoch, step, finished = self._last()
        return ImportRevised(time=when, epoch=epoch, step=step, finished_epochs=finished)

    def _last(self) -> tuple[int, int, int]:
        """Return epoch and step of the last training step, and the number of finished epochs."""
        return (self._epochs[-1], self._steps[-1], self._finished[-1]) if self else (0, 0, 0)


def _hash(event: StepsFinished | EpochFinished) -> int:
    """Return a hash that is the same for every NaN."""
    if isinstance(event, EpochFinished):
        return hash(repr(event))
    numbers = event.time, event.loss, event.lr, event.seconds
    return hash(struct.pack("<4d3q", *numbers, event.epoch, event.step, event.steps))
