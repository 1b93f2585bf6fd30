"""The engine in a thread: from a checked config to `RunFinished`, whatever happens between.

This module is free of PyTorch, which is imported in the thread as the run's first stage, so that
a dashboard can be on screen before it.
"""

import os
import socket
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Literal, Self

from cnn_engine.config import Config, load
from cnn_engine.control import Control, StopRequested
from cnn_engine.errors import DataError, TrainingError, UserError
from cnn_engine.events import ConfigReplaced, RunFinished, RunStarted, StageStarted
from cnn_engine.memory import keep_freed_memory
from cnn_engine.recorder import Recorder

SIGNAL_EXIT_CODES = {"SIGHUP": 129, "SIGINT": 130, "SIGTERM": 143}


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a user asked to train."""

    preset: str
    """Name of the preset or config file."""

    config: Config
    name: str = ""
    """What the user calls the run."""

    fallback: "Request | None" = None
    """What to train instead when the images are not to be had."""

    @classmethod
    def of(
        cls,
        preset: str,
        overrides: Sequence[str] = (),
        name: str = "",
        fallback: "Request | None" = None,
    ) -> Self:
        """A request for a preset or a config file.

        Raises:
            ConfigError: naming every problem of the config.
        """
        config = load(preset, overrides)
        return cls(preset=Path(preset).stem, config=config, name=name, fallback=fallback)


class Engine:
    """Trains in a thread of its own, which outlives any screen."""

    def __init__(self, request: Request, recorder: Recorder) -> None:
        self._request = request
        self._recorder = recorder
        self._began = time.monotonic()
        self._thread = Thread(target=self._run, name="engine")

    def start(self) -> None:
        """Begin to train, unless it has begun, and return at once."""
        if self._thread.ident is None:
            keep_freed_memory()
            self._thread.start()

    def is_alive(self) -> bool:
        """Whether it still trains."""
        return self._thread.is_alive()

    def join(self) -> None:
        """Wait until it is done."""
        self._thread.join()

    def _run(self) -> None:
        with self._recorder:
            self._began = time.monotonic()
            self._recorder.record(self._started())
            self._recorder.record(self._outcome())

    @property
    def exit_code(self) -> int:
        """Exit code for the process, once the thread has ended."""
        finished = self._recorder.state.finished
        return finished.exit_code if finished else 1

    def _started(self) -> RunStarted:
        from importlib.metadata import version  # noqa: PLC0415 - the screen need not wait for it

        return RunStarted(
            run_id=self._recorder.run.id,
            name=self._request.name,
            preset=self._request.preset,
            config=self._request.config.model_dump(mode="json"),
            pid=os.getpid(),
            host=socket.gethostname(),
            version=version("cnn-tui"),
        )

    def _outcome(self) -> RunFinished:
        try:
            self._train()
        except StopRequested as stop:
            return self._finished("stopped", SIGNAL_EXIT_CODES.get(stop.by, 0))
        except UserError as error:
            return self._finished("failed", error.exit_code, str(error))
        except Exception as error:  # noqa: BLE001 - whatever it is, the run must say that it failed
            if _is_out_of_memory(error):
                text = "out of memory; try a smaller train.batch_size or data.image_size"
                return self._finished("failed", TrainingError.exit_code, text)
            with self._recorder.run.console.open("a") as console:
                traceback.print_exc(file=console)
            text = f"internal error: {type(error).__name__}: {error}; see {console.name}"
            return self._finished("failed", 1, text)
        return self._finished("done", 0)

    def _finished(
        self, status: Literal["done", "stopped", "failed"], exit_code: int, error: str = ""
    ) -> RunFinished:
        seconds = time.monotonic() - self._began
        return RunFinished(status=status, exit_code=exit_code, seconds=seconds, error=error)

    def _train(self) -> None:
        control = Control(self._recorder)
        self._recorder.record(StageStarted(stage="torch"))
        from cnn_engine.train import Training, load_data  # noqa: PLC0415 - see the module's text

        request = self._request
        try:
            data = load_data(request.config, self._recorder, control)
        except DataError as error:
            if request.fallback is None:
                raise
            request = request.fallback
            self._recorder.record(
                ConfigReplaced(
                    preset=request.preset,
                    config=request.config.model_dump(mode="json"),
                    reason=f"{error}. Training on the bundled {request.preset} instead",
                )
            )
            data = load_data(request.config, self._recorder, control)
        Training(request.config, data, self._recorder, control).run()


def _is_out_of_memory(error: Exception) -> bool:
    # PyTorch's CPU allocator raises a plain RuntimeError with this text.
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or "can't allocate memory" in str(error)
    )
