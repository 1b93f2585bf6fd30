"""The engine in a thread: from a checked config to `RunFinished`, whatever happens between.

This module is free of PyTorch, which is imported in the thread as the run's first stage, so that
a dashboard can be on screen before it.
"""

import os
import platform
import socket
import time
import traceback
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Thread
from typing import Literal, Self

from cnn_engine.checkpoints.format import BEGINNING, Found
from cnn_engine.checkpoints.resume import find_checkpoint, set_damaged_aside
from cnn_engine.errors import ConfigError, DataError, StorageError, TrainingError, UserError
from cnn_engine.runlog.events import (
    FORMAT,
    CommandApplied,
    ConfigReplaced,
    Notice,
    RunFinished,
    RunResumed,
    RunStarted,
    StageStarted,
)
from cnn_engine.runs.directory import RunDirectory
from cnn_engine.runs.recorder import Inheritance, Recorder
from cnn_engine.session.request import Request
from cnn_engine.system.environment_diff import environment_diff
from cnn_engine.system.git_revision import Revision
from cnn_engine.system.malloc import keep_freed_memory
from cnn_engine.system.out_of_memory import is_out_of_memory, out_of_memory_text
from cnn_engine.training.control import Control, DetachRequested, StopRequested

SIGNAL_EXIT_CODES = {"SIGHUP": 129, "SIGINT": 130, "SIGTERM": 143}


@dataclass(frozen=True, kw_only=True)
class Resumption:
    """Where an earlier session's work goes on."""

    found: Found | None
    """The checkpoint; None where there was none yet, and the run begins anew."""

    epochs: int | None
    """Epochs that are now asked for, if they are others than before."""

    seconds: float
    """Time that all sessions before took."""


def run_started(request: Request, run: RunDirectory) -> RunStarted:
    """The first event of a run by this process."""
    fallback = request.fallback
    return RunStarted(
        run_id=run.id,
        name=request.name,
        preset=request.preset,
        config=request.config.model_dump(mode="json"),
        pid=os.getpid(),
        host=socket.gethostname(),
        version=_version(),
        fallback_preset=fallback.preset if fallback else "",
        fallback_config=fallback.config.model_dump(mode="json") if fallback else None,
        group=request.group,
        command=request.command,
        directory=str(Path.cwd()),
        like=request.like,
        environment_of_like=request.environment_of_like,
    )


def _version() -> str:
    from importlib.metadata import version  # noqa: PLC0415 - the screen need not wait for it

    return version("cnn-tui")


class Engine:
    """Trains in a thread of its own, which outlives any screen."""

    def __init__(
        self, request: Request, recorder: Recorder, resumption: Resumption | None = None
    ) -> None:
        self._request = request
        self._recorder = recorder
        self._resumption = resumption
        self._began = time.monotonic()
        self._thread = Thread(target=self._run, name="engine")
        self._lost: StorageError | None = None

    @classmethod
    def resume(
        cls,
        run: RunDirectory,
        epochs: int | None = None,
        inheritance: Inheritance | None = None,
        *,
        allow_code: bool = False,
    ) -> Self:
        """Take hold of a run that no process trains, to go on with it.

        Args:
            run: The run.
            epochs: Epochs to train in all, where they are to be more than were done.
            inheritance: Where another process has handed it over, which has trained it already.
            allow_code: Import the network, if it is code of the run's user.

        Raises:
            ConfigError: there is nothing to go on with, or it needs a newer version of cnn-tui.
            DataError: its checkpoints are damaged.
            StorageError: another process holds it, or it cannot be read or written.
        """
        recorder = Recorder(run, inheritance)
        try:
            state = recorder.state
            if state.started and state.started.format > FORMAT:
                raise ConfigError(f"run {run.id}: a newer version of cnn-tui wrote it; use that")
            if state.imported:
                raise ConfigError(f"run {run.id}: it is another program's to resume")
            found = find_checkpoint(state, run, epochs)
            request = Request.from_state(state, allow_code=allow_code or inheritance is not None)
            request = request.with_epochs(epochs or state.total_epochs)
            if found is not None:
                request = replace(request, fallback=None)
        except UserError:
            recorder.close()
            raise
        changed = epochs if epochs != state.total_epochs else None
        resumption = Resumption(found=found, epochs=changed, seconds=state.elapsed_seconds)
        return cls(request, recorder, resumption)

    def start(self) -> None:
        """Begin to train, unless it has begun, and return at once."""
        if self._thread.ident is None:
            keep_freed_memory()
            self._thread.start()

    def is_alive(self) -> bool:
        """Whether it still trains."""
        return self._thread.is_alive()

    def has_ended(self) -> bool:
        """Whether it trained, and trains no more: the run is over, or another process has it."""
        return self._thread.ident is not None and not self.is_alive()

    def join(self) -> None:
        """Wait until it is done.

        Raises:
            StorageError: the end of the log could not be written, or no process be started that
                goes on in the background.
        """
        self._thread.join()
        if self._lost is not None:
            raise self._lost

    @property
    def blocked(self) -> str:
        """Why the run's log cannot be written now, as on a full disk; empty when it can."""
        return self._recorder.write_error

    @property
    def exit_code(self) -> int:
        """Exit code for the process, once the thread has ended."""
        if self._lost is not None:
            return self._lost.exit_code
        finished = self._recorder.state.finished
        return finished.exit_code if finished else 1

    def _run(self) -> None:
        try:
            with self._recorder:
                self._began = time.monotonic()
                self._begin()
                outcome = self._outcome()
                self._recorder.record(outcome)
                if outcome.status == "detached":
                    self._recorder.hand_over()
        except StorageError as error:
            self._lost = error

    def _begin(self) -> None:
        run, resumption = self._recorder.run, self._resumption
        if resumption is None:
            self._recorder.record(run_started(self._request, run))
            return
        found = resumption.found
        place = found.place if found else BEGINNING
        self._recorder.record(
            RunResumed(
                pid=os.getpid(),
                host=socket.gethostname(),
                version=_version(),
                epoch=place.epoch,
                step=place.step,
                file=found.path.name if found else "",
                seconds=resumption.seconds,
            )
        )
        if resumption.epochs is not None:
            asked = CommandApplied(command="epochs", by="cli", value=float(resumption.epochs))
            self._recorder.record(asked)

    def _outcome(self) -> RunFinished:
        try:
            with Revision() as revision:
                self._train(revision)
        except DetachRequested:
            return self._finished("detached", 0)
        except StopRequested as stop:
            return self._finished("stopped", SIGNAL_EXIT_CODES.get(stop.by, 0))
        except UserError as error:
            text = str(error)
            if error.__cause__ is not None:  # the user's own code
                text = f"{text}; {_keep_traceback(self._recorder.run)}"
            return self._finished("failed", error.exit_code, text)
        except Exception as error:  # noqa: BLE001 - whatever it is, the run must say that it failed
            if is_out_of_memory(error):
                text = out_of_memory_text(error)
                return self._finished("failed", TrainingError.exit_code, text)
            where = _keep_traceback(self._recorder.run)
            text = f"internal error: {type(error).__name__}: {error}; {where}"
            return self._finished("failed", 1, text)
        return self._finished("done", 0)

    def _finished(
        self,
        status: Literal["done", "stopped", "failed", "detached"],
        exit_code: int,
        error: str = "",
    ) -> RunFinished:
        seconds = time.monotonic() - self._began
        if self._resumption is not None:
            seconds += self._resumption.seconds
        return RunFinished(status=status, exit_code=exit_code, seconds=seconds, error=error)

    def _train(self, revision: Revision) -> None:
        control = Control(self._recorder)
        self._recorder.record(StageStarted(stage="torch"))
        # See the module's text.
        from cnn_engine.system.device import limit_threads  # noqa: PLC0415
        from cnn_engine.training.setup import load_data, warming_up  # noqa: PLC0415
        from cnn_engine.training.trainer import Training  # noqa: PLC0415

        limit_threads()
        request, found = self._request, self._resumption.found if self._resumption else None
        if found is not None:
            set_damaged_aside(found, self._recorder)
        with warming_up(request.config.train):
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
        file = found.path if found else None
        surroundings = {"cnn-tui": _version(), "Python": platform.python_version()}
        if commit := revision.text():
            surroundings["revision"] = commit
        training = Training(
            request.config, data, self._recorder, control, file, surroundings=surroundings
        )
        if file is None:
            self._tell_what_is_unlike()
        training.run()

    def _tell_what_is_unlike(self) -> None:
        """Say in what a run that is to be like another one cannot be."""
        begun, prepared = self._recorder.state.started, self._recorder.state.prepared
        if begun is None or prepared is None:
            return
        found = environment_diff(prepared.environment, begun.environment_of_like)
        if found:
            text = f"Not quite as {begun.like} was: {'; '.join(found)}"
            self._recorder.record(Notice(text=text))


def _keep_traceback(run: RunDirectory) -> str:
    """Write the traceback of the error in hand to the console log; what to say of that."""
    try:
        with run.console.open("a") as console:
            traceback.print_exc(file=console)
    except OSError as error:  # the disk may be full, and that must not hide what failed
        return f"its traceback could not be kept: {error.strerror}"
    return f"see {run.console}"
