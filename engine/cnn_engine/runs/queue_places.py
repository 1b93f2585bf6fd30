"""Places of queued runs in the queue of their machine."""

from pathlib import Path
from typing import NamedTuple

from cnn_engine.queue.devices import VISIBLE, device_names, runs_on
from cnn_engine.queue.entries import Entry, find, read_entries
from cnn_engine.runs.directory import RunDirectory, is_run


class QueuePlace(NamedTuple):
    """Place of a run in the queue."""

    entry: Entry

    position: int
    """Counted from 1 among the runs that wait for the same kind of device; 0 if it is held."""


def queue_place(run: RunDirectory, host: str = "") -> QueuePlace | None:
    """Return a run's place in the queue; None if it has none.

    Args:
        run: The run.
        host: Machine whose queue it is in; this one by default.
    """
    entries = read_entries(host)
    entry = find(entries, run.path)
    if entry is None:
        return None
    if entry.held:
        return QueuePlace(entry, 0)
    before = [other for other in entries[: entries.index(entry)] if other.device == entry.device]
    waiting = [other for other in before if not other.held and exists(other)]
    return QueuePlace(entry, len(waiting) + 1)


def waits_for(place: QueuePlace) -> list[str]:
    """Return the ids of the runs that train on the devices for which a run waits."""
    visible = place.entry.environment.get(VISIBLE)
    names = device_names(place.entry.device, visible)
    return list(dict.fromkeys(run.name for name in names for run in runs_on(name)))


def exists(entry: Entry) -> bool:
    """Return True if the directory of an entry is that of a run; it may have been moved."""
    return is_run(Path(entry.run))
