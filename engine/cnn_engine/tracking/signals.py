"""Lets signals stop a loop, as its user asks for."""

import os
import signal
from collections.abc import Callable
from types import FrameType

from cnn_engine.system.stop_signals import IMPATIENT_SIGNALS, STOP_SIGNALS


def stop_on_signals(stop: Callable[[str], bool]) -> None:
    """Call `stop` with the name of a signal that asks the program to end.

    If it returns False, and after the second SIGINT or SIGTERM, the signal does what it did before.

    Raises:
        ValueError: this is not the main thread.
    """
    previous = {number: signal.getsignal(number) for number in STOP_SIGNALS}

    def handle(number: int, _frame: FrameType | None) -> None:
        is_stopped = stop(signal.Signals(number).name)
        if not is_stopped or number in IMPATIENT_SIGNALS:
            signal.signal(number, previous[signal.Signals(number)] or signal.SIG_DFL)
        if not is_stopped:
            os.kill(os.getpid(), number)

    for number in STOP_SIGNALS:
        signal.signal(number, handle)
