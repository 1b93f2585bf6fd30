"""What SIGINT and SIGTERM mean to a process that shows a run."""

import math
import signal
import time
from collections.abc import Callable
from types import FrameType

HANGUP_EXIT_CODE = 128 + signal.SIGHUP
"""Exit code of what the loss of its terminal ended."""

SAME_SIGNAL_SECONDS = 0.3
"""Signals closer than this are one: `timeout` and some shells send to a process and its group."""

REPEAT_SECONDS = 10.0
"""A second signal within this time leaves at once; later it counts as the first again."""


class StopSignals:
    """The first signal asks for an orderly end; a second one soon after it leaves at once.

    Python's own handlers rather than asyncio's, as they work even while the screen hangs. What
    they call must be fit to be called at any moment.
    """

    def __init__(
        self, ask: Callable[[signal.Signals], None], leave: Callable[[signal.Signals], None]
    ) -> None:
        """From now on, ask and leave by these."""
        self._ask, self._leave = ask, leave
        self._asked_at = -math.inf
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._take)

    def _take(self, number: int, _frame: FrameType | None) -> None:
        since = time.monotonic() - self._asked_at
        if since < SAME_SIGNAL_SECONDS:
            return
        if since < REPEAT_SECONDS:
            self._leave(signal.Signals(number))
        else:
            self._asked_at = time.monotonic()
            self._ask(signal.Signals(number))
