"""Signals and limits that stop a run with a checkpoint.

Imports almost nothing else: the supervisor stays small.
"""

import os
import signal
from types import FrameType

IMPATIENT_SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""Signals from a user or the system. A second one soon after the first quits without a
checkpoint."""

WARNING_SIGNALS = (signal.SIGUSR1, signal.SIGUSR2, signal.SIGXCPU)
"""Signals by which batch systems announce a limit: SIGUSR1 and SIGUSR2 by Slurm and Grid Engine,
SIGXCPU by a limit of processor time. They may be repeated, as SIGXCPU is every second, and never
quit without a checkpoint."""

STOP_SIGNALS = (*IMPATIENT_SIGNALS, *WARNING_SIGNALS)
"""All signals after which a run saves a checkpoint and ends with 128 + the signal's number."""

TIME_LIMIT = "time-limit"
"""Sender of the stop before the end of a time limit or a job."""

TIME_LIMIT_EXIT_CODE = 124
"""Exit code after it: that of `timeout`, for the same reason."""

EXIT_CODES = {
    **{number.name: 128 + number for number in (signal.SIGHUP, *STOP_SIGNALS)},
    TIME_LIMIT: TIME_LIMIT_EXIT_CODE,
}
"""Exit codes of a stopped run by the sender of the stop: after a signal 128 + its number, as in
shells."""

_held: list[signal.Signals] = []


def hold_stop_signals() -> None:
    """Keep signals for the handlers that are installed later, once there is a run to stop.

    A second SIGINT or SIGTERM before that quits.
    """
    for number in STOP_SIGNALS:
        signal.signal(number, _hold)


def held_signals() -> list[signal.Signals]:
    """Return the signals that were kept; call it once handlers are installed."""
    found = [*_held]
    _held.clear()
    return found


def _hold(number: int, _frame: FrameType | None) -> None:
    if number in IMPATIENT_SIGNALS and number in _held:
        os._exit(128 + number)
    _held.append(signal.Signals(number))
