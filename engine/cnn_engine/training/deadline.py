"""The moment at which a run must stop, so that it has saved a checkpoint and ended in time."""

import time

MARGIN_SECONDS = 10.0
"""Time for the end of the run besides the checkpoint: the log, messages to the user, Python's end.
It is also that of a checkpoint before the first one is saved."""

MAX_SHARE = 0.1
"""Maximum margin relative to the time that is left at the start."""


class Deadline:
    """Decides when a run must stop, from measured durations."""

    def __init__(self, end_time: float) -> None:
        """Plan for a process that must have ended at `end_time`, in seconds since 1970."""
        self._end_time = end_time
        self._margin = max(0.0, min(MARGIN_SECONDS, MAX_SHARE * (end_time - time.time())))
        self.begin()

    def begin(self) -> None:
        """Forget the durations so far, as steps of training take another time than loading."""
        self._asked_at = time.monotonic()
        self._longest_wait = 0.0

    def is_due(self, save_seconds: float | None) -> bool:
        """Return True if the run must stop now; call it often.

        The longest time between two calls is kept in reserve, and twice that of a checkpoint.

        Args:
            save_seconds: Longest duration of a checkpoint so far; None before the first.
        """
        now = time.monotonic()
        self._longest_wait = max(self._longest_wait, now - self._asked_at)
        self._asked_at = now
        saving = self._margin if save_seconds is None else 2 * save_seconds
        return time.time() >= self._end_time - self._margin - saving - self._longest_wait
