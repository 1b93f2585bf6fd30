"""Signals that stop a process that trains or shows a run."""

import math
import signal
import time
from collections.abc import Callable
from types import FrameType

from cnn_engine.system.stop_signals import IMPATIENT_SIGNALS, STOP_SIGNALS, held_signals

HANGUP_EXIT_CODE = 128 + signal.SIGHUP
"""Exit code if the loss of the terminal ended the process."""

INTERRUPT_EXIT_CODE = 128 + signal.SIGINT
"""Exit code if ctrl-c ended a command."""

SAME_SIGNAL_SECONDS = 0.3
"""Signals closer than this count as one: `timeout` and some shells signal a process twice, also
through its group."""

REPEAT_SECONDS = 10.0
"""A second SIGINT or SIGTERM within this time quits immediately; later it counts as the first."""


class StopSignals:
    """Handlers: a signal requests an orderly stop, a second one of a user soon after quits.

    They are Python's own handlers rather than asyncio's, because those do not run while the event
    loop hangs. The callbacks must be safe to call at any moment.
    """

    def __init__(
        self,
        request_stop: Callable[[signal.Signals], None],
        quit_now: Callable[[signal.Signals], None],
    ) -> None:
        """Install the handlers, which get the signals that were held, too."""
        self._request_stop, self._quit_now = request_stop, quit_now
        self._requested_at = -math.inf
        for number in STOP_SIGNALS:
            signal.signal(number, self._handle)
        for number in held_signals():
            self._handle(number, None)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if number not in IMPATIENT_SIGNALS:
            self._request_stop(signal.Signals(number))
            return
        elapsed = time.monotonic() - self._requested_at
        if elapsed < SAME_SIGNAL_SECONDS:
            return
        if elapsed < REPEAT_SECONDS:
            self._quit_now(signal.Signals(number))
        else:
            self._requested_at = time.monotonic()
            self._request_stop(signal.Signals(number))
