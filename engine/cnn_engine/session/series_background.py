"""Background training of a series: a process without a terminal.

    python -m cnn_engine.session.series_background RUN_DIR [LOCK [LOG COMMANDS_READ]]

trains what is missing of the series whose first run is in RUN_DIR. LOCK is the inherited descriptor
that holds the lock of the series; the two other numbers are the fields of `HandedOver`, if another
process hands the first run over.
"""

import faulthandler
import os
import signal
import sys
from pathlib import Path
from types import FrameType

from cnn_engine.errors import UserError
from cnn_engine.notifications.notifier import notify_lost
from cnn_engine.notifications.targets import NO_TARGETS, Targets, read_targets
from cnn_engine.runs.directory import RunDirectory
from cnn_engine.runs.recorder import HandedOver
from cnn_engine.runs.series import lock_series
from cnn_engine.runs.series_plan import read_plan
from cnn_engine.session.engine import Engine
from cnn_engine.session.series import Member, Series, resume_series
from cnn_engine.system.stop_signals import STOP_SIGNALS, held_signals, hold_stop_signals


class Console:
    """Writes the results of runs into the console log of the first run."""

    def follow(self, member: Member, run: RunDirectory, engine: Engine) -> None:
        """Do nothing: the caller waits for the engine."""

    def ended(self, member: Member) -> None:
        """Write the status of a run."""
        if member.summary is not None:
            self.report(f"run {member.number} {member.summary.run_id}: {member.summary.status}")

    def report(self, text: str) -> None:
        """Write a line."""
        print(text, file=sys.stderr, flush=True)  # noqa: T201 - into the console.log


def main() -> None:
    """Train the series that the command line names, until it ends."""
    faulthandler.enable()
    hold_stop_signals()
    first = RunDirectory(Path(sys.argv[1]))
    try:
        series = _open(first)
    except UserError as error:
        print(error, file=sys.stderr)  # noqa: T201 - into the console.log
        notify_lost(first, str(error), error.exit_code)
        sys.exit(error.exit_code)

    def stop(number: int, _frame: FrameType | None) -> None:
        series.request_stop(signal.Signals(number))

    for number in STOP_SIGNALS:
        signal.signal(number, stop)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    for held in held_signals():
        series.request_stop(held)
    sys.exit(series.train(Console()))


def _open(first: RunDirectory) -> Series:
    """Return the series, with the lock that another process has handed over if it has.

    Raises:
        UserError: as `resume_series`.
    """
    targets, numbers = _targets(first), list(map(int, sys.argv[2:]))
    if not numbers:
        return resume_series(first, targets, allow_code=True)
    lock, *log = numbers
    handed_over = None
    if log:
        handed_over = HandedOver(*log)
        os.set_inheritable(handed_over.log, False)
    return Series(
        read_plan(first),
        first,
        lock_series(first, lock),
        targets,
        handed_over=handed_over,
        allow_code=True,
    )


def _targets(first: RunDirectory) -> Targets:
    try:
        return read_targets(first)
    except UserError as error:
        print(error, file=sys.stderr)  # noqa: T201 - into the console.log
        return NO_TARGETS


if __name__ == "__main__":
    main()
