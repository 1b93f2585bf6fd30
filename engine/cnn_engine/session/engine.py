"""Runs training in a thread, from a checked config to the `RunFinished` event.

PyTorch is imported in that thread, as the run's first stage, so that a dashboard can be on screen
before it.
"""

import os
import platform
import signal
import socket
import time
import traceback
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Literal, Self

from cnn_engine.checkpoints.format import START, FoundCheckpoint
from cnn_engine.checkpoints.resume import find_checkpoint, set_damaged_aside
from cnn_engine.config.paths import exists, expand_home
from cnn_engine.config.presets import from_dict
from cnn_engine.data.marks import MarksFile, find_marks, find_run_marks, save_run_marks
from cnn_engine.distributed.errors import EndedElsewhereError, ProcessLostError
from cnn_engine.distributed.meetings import Meetings
from cnn_engine.distributed.place import Place
from cnn_engine.errors import (
    ConfigError,
    DataError,
    RunHeldError,
    StorageError,
    TrainingError,
    UserError,
    error_text,
)
from cnn_engine.notifications.notifier import Notifier
from cnn_engine.notifications.targets import write_targets
from cnn_engine.queue.devices import DeviceLock, device_name, hold_device, hold_expected_device
from cnn_engine.queue.entries import read_entries, remove_entry
from cnn_engine.runlog.events import (
    FORMAT,
    CommandApplied,
    ConfigReplaced,
    Notice,
    ProcessLost,
    RunFinished,
    RunResumed,
    RunStarted,
    StageStarted,
    TimeLimitSet,
)
from cnn_engine.runs.commands import Command
from cnn_engine.runs.console import write_traceback
from cnn_engine.runs.directory import RunDirectory
from cnn_engine.runs.hints import command_for
from cnn_engine.runs.recorder import HandedOver, Recorder
from cnn_engine.runs.summary import read_state
from cnn_engine.session.holder_process import start_holder
from cnn_engine.session.process_exit import exits_raise
from cnn_engine.session.request import Request
from cnn_engine.session.spawn import spawn
from cnn_engine.system.end_time import JOB_END_TIME, find_end_time, has_passed_job
from cnn_engine.system.environment_diff import environment_diff
from cnn_engine.system.git_revision import Revision
from cnn_engine.system.malloc import keep_freed_memory
from cnn_engine.system.out_of_memory import is_out_of_memory, out_of_memory_text
from cnn_engine.system.stop_signals import EXIT_CODES
from cnn_engine.training.control import Control, DetachRequested, StopRequested
from cnn_engine.training.deadline import Deadline

if TYPE_CHECKING:
    from cnn_engine.data.dataset import DataSet
    from cnn_engine.distributed.processes import Processes
    from cnn_engine.distributed.rendezvous import Rendezvous

LOST_EXIT_CODE = 75
"""Exit code after another process of the run was lost; a temporary failure in `sysexits.h`."""

TORCHRUN_SECONDS = 30.0
"""Maximum time that torchrun may take to end after its processes."""

NETWORK_MODULES = ("torch.nn.modules.module", "torch.autograd")
"""Modules that call a network's forward and backward."""


@dataclass(frozen=True, kw_only=True)
class Resumption:
    """State from which a run is resumed."""

    checkpoint: FoundCheckpoint | None
    """The checkpoint; None if there is none, so that training starts from the beginning."""

    epochs: int | None
    """New total number of epochs; None if it is unchanged."""

    seconds: float
    """Duration of all earlier sessions."""

    moved_to: str = ""
    """Directory that the images were moved to; empty if they were not."""

    end_time: float | None = None
    """Time limit that still holds, as torchrun has started the process again; None without one."""


def run_started(
    request: Request, run: RunDirectory, processes: int = 1, launch: str = ""
) -> RunStarted:
    """Return the first event of a run.

    Args:
        request: What is to be trained.
        run: The run.
        processes: Number of processes that train it.
        launch: Name of torchrun's launch; empty without one.
    """
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
        member=request.member,
        members=request.members,
        setting=request.setting,
        command=request.command,
        directory=str(Path.cwd()),
        like=request.like,
        environment_of_like=request.environment_of_like,
        processes=processes,
        launch=launch,
    )


def begin_run(request: Request, recorder: Recorder, processes: int = 1, launch: str = "") -> None:
    """Record the first event of a run, and keep the receivers of its messages in its directory.

    Args:
        request: What is to be trained.
        recorder: Records the run.
        processes: Number of processes that train it.
        launch: Name of torchrun's launch; empty without one.

    Raises:
        StorageError: the receivers cannot be written.
    """
    write_targets(recorder.run, request.notify)
    recorder.record(run_started(request, recorder.run, processes, launch))


def _version() -> str:
    from importlib.metadata import version  # noqa: PLC0415 - slow, and not needed for the first screen

    return version("cnn-tui")


def _check_before_resuming(request: Request, run: RunDirectory) -> None:
    """Check what can be checked before the log says that the run is resumed.

    Raises:
        ConfigError: its device does not exist.
        DataError: there are no images.
    """
    # Imported here, as it lists folders with NumPy.
    from cnn_engine.session.preflight import check_request  # noqa: PLC0415

    try:
        check_request(request, is_new=False)
    except DataError as error:
        raise _with_hint(error, request, run) from None


def _with_hint(error: DataError, request: Request, run: RunDirectory) -> DataError:
    """Return the error, with advice if the images of a resumed run are not where they were."""
    path = request.config.data.path
    if path is None or exists(path):
        return error
    command = command_for("resume", run, "--data-dir", "DIR")
    return DataError(f"{error}; if the images were moved: {command}")


def _wait_for_torchrun(run: RunDirectory) -> bool:
    """Return True if torchrun does not hold the run, or ends soon after it."""
    give_up = time.monotonic() + TORCHRUN_SECONDS
    while run.is_launched():
        state, _ = read_state(run)
        if not state.has_ended or time.monotonic() > give_up:
            return False
        time.sleep(0.1)
    return True


class Engine:
    """Trains in a non-daemon thread, which continues when the dashboard ends."""

    def __init__(
        self,
        request: Request,
        recorder: Recorder,
        resumption: Resumption | None = None,
        place: Place | None = None,
    ) -> None:
        """Prepare to train.

        Args:
            request: What is to be trained.
            recorder: Records the run.
            resumption: Set if a run is resumed.
            place: Place of this process if torchrun has started it; else None.
        """
        self._request = request
        self._place = place
        self._rendezvous: Rendezvous | None = None
        self._recorder = recorder
        self._resumption = resumption
        self._start_time = time.monotonic()
        self._thread = Thread(target=self._run, name="engine")
        self._storage_error: StorageError | None = None
        self._outcome: RunFinished | None = None
        self._control: Control | None = None
        self._notifier: Notifier | None = None
        self.device: DeviceLock | None = None
        """Lock of the device, once it is known; that of a series is to be closed by its caller."""
        self.is_in_series = False
        """Set to True before the start if a series of runs has a message of its own at its end."""
        self.notice = ""
        """Line about messages of the end of the run that could not be sent; for the user."""

    @classmethod
    def resume(  # noqa: PLR0913 - the options of a command
        cls,
        run: RunDirectory,
        epochs: int | None = None,
        handed_over: HandedOver | None = None,
        *,
        allow_code: bool = False,
        data_dir: Path | None = None,
        place: Place | None = None,
        commands_read: int | None = None,
    ) -> Self:
        """Return an engine that resumes a run, which it locks.

        Args:
            run: The run, which no process trains.
            epochs: New total number of epochs; None to keep it.
            handed_over: Given if another process hands the run over.
            allow_code: Import the network if it is the user's own code.
            data_dir: Directory that the images were moved to; None if they were not. The run
                remembers it once the images turn out to be the same.
            place: Place of this process if torchrun has started it; else None.
            commands_read: Bytes of the commands file that belong to earlier sessions; all of it by
                default.

        Raises:
            ConfigError: there is nothing to resume, a newer version of cnn-tui wrote the run, or
                its device does not exist here.
            DataError: its checkpoints are damaged, or there are no images.
            StorageError: another process holds it, or it cannot be read or written.
        """
        if place is None and not _wait_for_torchrun(run):
            command = command_for("watch", run)
            raise RunHeldError(f"run {run.id}: torchrun is training it; to watch it: {command}")
        recorder = Recorder(run, handed_over, commands_read)
        try:
            state = recorder.state
            if state.started and state.started.format > FORMAT:
                raise ConfigError(
                    f"run {run.id}: a newer version of cnn-tui wrote it; use that version"
                )
            checkpoint = find_checkpoint(state, run, epochs)
            request = Request.from_state(state, allow_code=allow_code or handed_over is not None)
            request = request.with_epochs(epochs or state.total_epochs)
            moved_to = str(Path(expand_home(str(data_dir))).absolute()) if data_dir else ""
            if moved_to:
                config = request.config
                config = config.model_copy(update={"data": config.data.moved_to(moved_to)})
                request = replace(request, config=config, fallback=None)
            if checkpoint is not None:
                request = replace(request, fallback=None)
            if handed_over is None:
                _check_before_resuming(request, run)
        except UserError:
            recorder.close()
            raise
        resumption = Resumption(
            checkpoint=checkpoint,
            epochs=epochs if epochs != state.total_epochs else None,
            seconds=state.elapsed_seconds,
            moved_to=moved_to,
            end_time=state.end_time if place is not None and place.restart else None,
        )
        return cls(request, recorder, resumption, place)

    def start(self) -> None:
        """Start the thread, unless it is started already, and return at once."""
        if self._thread.ident is None:
            if self._place is None:
                configured = self._request.config.train.device
                self.device = hold_expected_device(configured, self._recorder.run.path)
            keep_freed_memory()
            self._thread.start()

    @property
    def earlier_processes(self) -> int:
        """Processes of the run's latest session."""
        return self._recorder.state.processes

    def leave_to_others(self) -> int:
        """Release the run, which processes of torchrun are to resume instead of this one.

        Returns:
            Size of the commands file, whose content belongs to earlier sessions, in bytes.

        Raises:
            ConfigError: the images were moved, which only a process that trains can check.
        """
        resumption = self._resumption
        with self._recorder:
            if resumption is not None and resumption.moved_to:
                raise ConfigError("resume: --data-dir cannot be used with several processes")
            if resumption is not None and resumption.epochs is not None:
                self._record_epochs(resumption.epochs)
            return self._recorder.commands.bytes_read

    def _record_epochs(self, epochs: int) -> None:
        event = CommandApplied(command="epochs", by="cli", value=float(epochs))
        self._recorder.record(event)

    def deliver(self, command: Command) -> None:
        """Send a command without the run's directory, which may be gone or full.

        Safe in a signal handler.
        """
        self._recorder.commands.add(command)

    def request_stop(self, number: signal.Signals) -> None:
        """Stop after the current step, because of a signal; safe in a signal handler."""
        self.deliver(Command(name="stop", by=number.name))

    def is_alive(self) -> bool:
        """Return True while the thread runs."""
        return self._thread.is_alive()

    def has_ended(self) -> bool:
        """Return True if the thread was started and has ended."""
        return self._thread.ident is not None and not self.is_alive()

    def join(self) -> None:
        """Wait until the thread ends.

        Raises:
            StorageError: the end of the log could not be written, or the process that continues in
                the background could not be started.
        """
        self._thread.join()
        if self._storage_error is not None:
            raise self._storage_error

    @property
    def write_error(self) -> str:
        """Reason why the log cannot be written, such as a full disk; empty if it can."""
        return self._recorder.write_error

    @property
    def exit_code(self) -> int:
        """Exit code of the process, once the thread has ended."""
        if self._storage_error is not None:
            return self._storage_error.exit_code
        if self._outcome is None:
            return 1 if self._place is None else LOST_EXIT_CODE
        return self._outcome.exit_code

    @property
    def is_stopped(self) -> bool:
        """True if the run was stopped by a command or a signal."""
        return self._outcome is not None and self._outcome.status == "stopped"

    @property
    def exit_code_for_torchrun(self) -> int:
        """Exit code of a process that torchrun has started, which starts failed ones again."""
        return 0 if self._outcome is not None else LOST_EXIT_CODE

    def _run(self) -> None:
        try:
            with self._recorder:
                self._start_time = time.monotonic()
                self._record_start()
                self._notifier = Notifier(
                    self._recorder.run, self._request.notify, is_in_series=self.is_in_series
                )
                self._recorder.observer = self._notifier.observe
                outcome = self._outcome = self._train_and_catch()
                if outcome is None:
                    return
                self._recorder.record(outcome)
                if outcome.status == "detached":
                    spawn(self._recorder.run, self._recorder.release(), self.device)
        except StorageError as error:
            self._storage_error = error
        finally:
            self._leave_device()
        self._notify_end()

    def _leave_device(self) -> None:
        """Release the device, and see to it that queued runs are started."""
        if self.device is not None and not self.is_in_series:
            self.device.close()
        start_holder()

    def _notify_end(self) -> None:
        """Send the messages of the end, once the run can be read and resumed by others."""
        outcome, error = self._outcome, self._storage_error
        if error is not None:
            outcome = self._finished("failed", error.exit_code, str(error))
        if self._notifier is not None and outcome is not None:
            self.notice = self._notifier.end(self._recorder.state, outcome)

    def _record_start(self) -> None:
        resumption = self._resumption
        if resumption is None:
            place = self._place
            processes, launch = (place.count, place.launch) if place else (1, "")
            begin_run(self._request, self._recorder, processes, launch)
            return
        with suppress(StorageError):  # the entry is dropped at its turn
            remove_entry(self._recorder.run.path)
        checkpoint = resumption.checkpoint
        position = checkpoint.position if checkpoint else START
        self._recorder.record(
            RunResumed(
                pid=os.getpid(),
                host=socket.gethostname(),
                version=_version(),
                epoch=position.epoch,
                step=position.step,
                file=checkpoint.path.name if checkpoint else "",
                seconds=resumption.seconds,
                processes=self._place.count if self._place else 1,
            )
        )
        if resumption.epochs is not None:
            self._record_epochs(resumption.epochs)

    def _train_and_catch(self) -> RunFinished | None:
        """Train; return the run's last event, also after an error.

        None if another process was lost: torchrun may start all of them again.
        """
        if self._place is None:
            return self._train_alone()
        try:
            outcome = self._train_alone(ProcessLostError, EndedElsewhereError)
        except EndedElsewhereError:
            return self._finished("stopped", 0)
        except ProcessLostError as error:
            return self._finish_after_loss(error)
        if self._rendezvous is not None:
            if self._place.is_first:
                self._rendezvous.end()
            elif outcome.status == "failed":
                # Its own is temporary, and written into that of the run.
                text = outcome.error.replace(str(self._recorder.run.console), "console.log")
                self._rendezvous.tell_reason(text, outcome.exit_code)
        return outcome

    def _finish_after_loss(self, error: Exception) -> RunFinished | None:
        """Return the run's last event after another process has ended; None without its reason."""
        reason = None
        if self._rendezvous is not None:
            reason = self._rendezvous.find_reason()
            if self._place is not None and self._place.is_first:
                self._rendezvous.end()
        if reason is not None:
            text, exit_code = reason
            return self._finished("failed", exit_code, text)
        self._recorder.record(ProcessLost(text=str(error)))
        return None

    def _train_alone(self, *passed: type[Exception]) -> RunFinished:
        """Train; return the run's last event, also after an error.

        Args:
            passed: Exceptions that are not those of this process, and are raised.
        """
        try:
            with Revision() as revision, exits_raise():
                self._train(revision)
        except passed:
            raise
        except DetachRequested:
            return self._finished("detached", 0)
        except StopRequested as stop:
            return self._finished("stopped", EXIT_CODES.get(stop.by, 0))
        except UserError as error:
            text = str(error)
            if error.__cause__ is not None:  # raised by the user's own network
                text = f"{text}; {write_traceback(self._recorder.run, error)}"
            return self._finished("failed", error.exit_code, text)
        except (Exception, SystemExit, KeyboardInterrupt) as error:  # noqa: BLE001 - the run failed
            return self._crashed(error)
        return self._finished("done", 0)

    def _crashed(self, error: BaseException) -> RunFinished:
        """Return the last event of a run that ended with an unexpected exception."""
        if is_out_of_memory(error):
            return self._finished("failed", TrainingError.exit_code, out_of_memory_text(error))
        note = write_traceback(self._recorder.run, error)
        if isinstance(error, Exception):
            if self._is_of_own_network(error):
                name = self._request.config.model.name
                text = f"model.name: {name} fails in training: {error_text(error)}; {note}"
                return self._finished("failed", TrainingError.exit_code, text)
            text = f"internal error: {error_text(error)}; {note}"
            return self._finished("failed", 1, text)
        # Python raises a signal's KeyboardInterrupt in the main thread only.
        text = f"{error_text(error)} was raised by the network's own code; {note}"
        return self._finished("failed", TrainingError.exit_code, text)

    def _is_of_own_network(self, error: Exception) -> bool:
        """Return True if the exception was raised in the user's own network, or in its backward."""
        if not self._request.config.model.is_user_model:
            return False
        modules = [
            str(frame.f_globals.get("__name__", ""))
            for frame, _ in traceback.walk_tb(error.__traceback__)
        ]
        own = self._request.config.model.name.partition(":")[0]
        return bool({own, *NETWORK_MODULES}.intersection(modules))

    def _finished(
        self,
        status: Literal["done", "stopped", "failed", "detached"],
        exit_code: int,
        error: str = "",
    ) -> RunFinished:
        seconds = time.monotonic() - self._start_time
        if self._control is not None:
            seconds -= self._control.paused_seconds
        if self._resumption is not None:
            seconds += self._resumption.seconds
        return RunFinished(status=status, exit_code=exit_code, seconds=seconds, error=error)

    def _train(self, revision: Revision) -> None:
        control = self._control = Control(self._recorder, self._set_deadline())
        self._recorder.record(StageStarted(stage="torch"))
        # Imported here: see the module docstring.
        from cnn_engine.system.device import limit_threads  # noqa: PLC0415
        from cnn_engine.training.setup import warming_up  # noqa: PLC0415
        from cnn_engine.training.trainer import Trainer  # noqa: PLC0415

        limit_threads(self._threads())
        checkpoint = self._resumption.checkpoint if self._resumption else None
        if checkpoint is not None:
            set_damaged_aside(checkpoint, self._recorder)
        with warming_up(self._request.config.train):
            data, processes = self._load_and_join(control)
        extra_environment = {"cnn-tui": _version(), "Python": platform.python_version()}
        if commit := revision.text():
            extra_environment["revision"] = commit
        trainer = Trainer(
            self._request.config,
            data,
            self._recorder,
            control,
            checkpoint.path if checkpoint else None,
            extra_environment=extra_environment,
            processes=processes,
        )
        if self._resumption is not None and self._resumption.moved_to:
            self._record_config(f"The images are in {self._resumption.moved_to} from now on")
        if checkpoint is None:
            self._report_environment_diff()
        trainer.run()
        if self._rendezvous is not None:
            self._rendezvous.leave()

    def _set_deadline(self) -> Deadline | None:
        """Return and record the deadline of this session, by which the first process stops all."""
        if has_passed_job():
            text = f"{JOB_END_TIME} has passed: it is ignored, and this run has no time limit"
            self._recorder.record(Notice(text=text))
        earlier = self._resumption.end_time if self._resumption else None
        end_time = earlier or find_end_time()
        if end_time is None or (self._place is not None and not self._place.is_first):
            return None
        self._recorder.record(TimeLimitSet(end=end_time))
        return Deadline(end_time)

    def _hold_device(self, kind: str, index: int | None) -> None:
        """Lock the device, so that the queue starts no run on it; report the runs that wait."""
        is_first = self._place is None or self._place.is_first
        name = device_name(kind, index)
        if self.device is None or self.device.name != name:
            if self.device is not None:
                self.device.close()
            self.device = hold_device(name, self._recorder.run.path if is_first else None)
        waiting = sum(not entry.held and entry.device == kind for entry in read_entries())
        if is_first and waiting and self._recorder.state.queued is None:
            runs = f"{waiting} queued runs wait" if waiting > 1 else "A queued run waits"
            self._recorder.record(Notice(text=f"{runs} until this run ends", severity="info"))

    def _load_and_join(self, control: Control) -> "tuple[DataSet, Processes]":
        """Load the images, and join the other processes of the run if there are any.

        Raises:
            ConfigError: the batch has fewer images than there are processes.
            DataError: there are no images, or other processes have others.
            StorageError: this machine does not have the directory of runs.
            StopRequested: the user asked to stop.
        """
        from cnn_engine.distributed.processes import ALONE  # noqa: PLC0415 - imports PyTorch
        from cnn_engine.distributed.rendezvous import Rendezvous  # noqa: PLC0415
        from cnn_engine.session.preflight import check_share  # noqa: PLC0415 - imports NumPy
        from cnn_engine.system.device import choose_device  # noqa: PLC0415

        place = self._place
        if place is None or place.count == 1:
            device = choose_device(self._request.config.train)
            self._hold_device(device.type, device.index)
            return self._load_data(control, self._own_marks()), ALONE
        rendezvous = self._rendezvous = Rendezvous.connect(place, control.check)
        if not place.is_first:
            plan = rendezvous.wait_for_plan()
            if not exists(plan["run"]):
                text = f"{plan['run']} does not exist here: all machines must share the directory"
                raise StorageError(f"{text} of runs")
            config = from_dict(plan["config"], allow_code=True)
            self._request = replace(self._request, config=config, fallback=None)
        check_share(self._request.config.train, place.count)
        marks = self._own_marks() if place.is_first else find_run_marks(Path(plan["run"]))
        data = self._load_data(control, marks)
        if place.is_first:  # the others read the images from its cache
            run = str(self._recorder.run.path.absolute())
            values = self._request.config.model_dump(mode="json")
            rendezvous.announce({"config": values, "run": run})
        device = choose_device(self._request.config.train, place.local_rank)
        self._hold_device(device.type, device.index)
        processes, joined = rendezvous.join(data.fingerprint(), device, self._record_notice)
        self._recorder.record(joined)
        control.join(Meetings(processes))
        return data, processes

    def _threads(self) -> int:
        """Return this process's share of the threads that the config names; 0 if it names none."""
        threads, place = self._request.config.train.threads, self._place
        return max(1, threads // place.local_count) if threads and place else threads

    def _record_notice(self, text: str) -> None:
        self._recorder.record(Notice(text=text))

    def _own_marks(self) -> MarksFile | None:
        """Return the marks on the run's images; copy them if it is not trained yet.

        Raises:
            DataError: they are damaged.
            StorageError: they cannot be copied.
        """
        run = self._recorder.run.path
        if self._recorder.state.prepared is not None:
            return find_run_marks(run)
        earlier = self._request.marks_of
        marks = find_run_marks(earlier) if earlier else find_marks(self._request.config.data)
        save_run_marks(run, marks)
        return marks

    def _load_data(self, control: Control, marks: MarksFile | None) -> "DataSet":
        """Load the images of the request, or of its fallback, which then replaces the request.

        Args:
            control: Raises if the user asks to stop.
            marks: Marks on the images; None without any.

        Raises:
            DataError: there are none, and the request has no fallback.
            StopRequested: the user asked to stop.
        """
        from cnn_engine.training.setup import load_data  # noqa: PLC0415 - imports PyTorch

        try:
            return load_data(self._request.config, marks, self._recorder, control)
        except DataError as error:
            if self._request.fallback is None:
                if self._resumption is None:
                    raise
                raise _with_hint(error, self._request, self._recorder.run) from None
            self._request = self._request.fallback
            self._record_config(f"Training on the bundled {self._request.preset} instead: {error}")
        return load_data(self._request.config, None, self._recorder, control)

    def _record_config(self, reason: str) -> None:
        """Record that the run continues with the config of the current request."""
        config = self._request.config.model_dump(mode="json")
        self._recorder.record(
            ConfigReplaced(preset=self._request.preset, config=config, reason=reason)
        )

    def _report_environment_diff(self) -> None:
        """Record a notice if the run repeats another one in a different environment."""
        started, prepared = self._recorder.state.started, self._recorder.state.prepared
        if started is None or prepared is None:
            return
        differences = environment_diff(prepared.environment, started.environment_of_like)
        if differences:
            text = f"Not exactly the environment of {started.like}: {'; '.join(differences)}"
            self._recorder.record(Notice(text=text, severity="info"))
