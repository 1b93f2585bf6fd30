"""A process that trains a run together with the first one, which records it."""

import signal
import sys
import tempfile
from pathlib import Path
from types import FrameType

from cnn_engine.distributed.place import Place
from cnn_engine.runs.directory import create_run
from cnn_engine.runs.recorder import Recorder
from cnn_engine.session.engine import Engine
from cnn_engine.session.request import Request
from cnn_engine.system.stop_signals import STOP_SIGNALS, held_signals, hold_stop_signals


def train_as_member(request: Request, place: Place) -> int:
    """Train without a word, and return the exit code.

    Its own state, such as the epochs so far, is in a temporary run directory. The traceback of an
    error is written to stderr, and its text becomes that of the run.

    Args:
        request: What is to be trained; the first process may decide otherwise.
        place: Place of this process.

    Returns:
        0 if the run is done or was stopped, so that it is not started again.
    """
    hold_stop_signals()
    with tempfile.TemporaryDirectory(prefix="cnn-tui-") as directory:
        run = create_run(Path(directory))
        engine = Engine(request, Recorder(run), place=place)
        stop_on_signals(engine)
        engine.start()
        engine.join()
        if run.console.exists():
            sys.stderr.write(run.console.read_text(errors="replace"))
    return 0 if engine.is_stopped else engine.exit_code


def stop_on_signals(engine: Engine) -> None:
    """Let signals stop the run with a checkpoint; ignore SIGHUP."""

    def stop(number: int, _frame: FrameType | None) -> None:
        engine.request_stop(signal.Signals(number))

    for number in STOP_SIGNALS:
        signal.signal(number, stop)
    for number in held_signals():
        stop(number, None)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
