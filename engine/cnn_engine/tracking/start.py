"""Starts or resumes the run of a training loop."""

import os
import re
import socket
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnn_engine.config.limits import MAX_EPOCHS
from cnn_engine.errors import ConfigError, RunsDirError, StorageError
from cnn_engine.notifications.variables import COMMAND_VARIABLE, STATUS_VARIABLE, URL_VARIABLE
from cnn_engine.runlog.events import FORMAT, LOOP_TABLE, Event, RunResumed, RunStarted
from cnn_engine.runlog.flat_config import config_values, flat_config, planned_epochs
from cnn_engine.runlog.roles import Role
from cnn_engine.runlog.state import RunState
from cnn_engine.runs.commands import Command
from cnn_engine.runs.directory import (
    RUNS_DIR,
    RunDirectory,
    create_run,
    default_runs_dir,
    is_run,
)
from cnn_engine.runs.hints import command_for
from cnn_engine.runs.lookup import find_run
from cnn_engine.runs.marks import (
    MAX_NAME_LENGTH,
    MAX_NOTE_LENGTH,
    MAX_TAG_LENGTH,
    read_marks,
    write_marks,
)
from cnn_engine.runs.recorder import Recorder
from cnn_engine.runs.summary import read_state
from cnn_engine.texts import listed
from cnn_engine.tracking.arguments import check_mode, check_roles, names
from cnn_engine.tracking.config import stored_config
from cnn_engine.tracking.ending import ENDING
from cnn_engine.tracking.loop_control import LoopControl
from cnn_engine.tracking.loop_log import LoopLog
from cnn_engine.tracking.names import clean_name
from cnn_engine.tracking.ranks import rank, world_size
from cnn_engine.tracking.recording import Recording, say
from cnn_engine.tracking.run import Run
from cnn_engine.tracking.signals import stop_on_signals

if TYPE_CHECKING:
    from cnn_engine.notifications.notifier import Notifier

MODE, RUN = "CNN_TUI_MODE", "CNN_TUI_RUN"
"""Environment variables: `disabled` to record nothing; the run's id, which is resumed if it
exists."""

RUN_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")

RESUME_MODES = ("allow", "must", "never", "auto")
"""Values of `resume` that say whether the run `id` may exist, as in W&B."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Arguments of `init`."""

    name: str = ""
    project: str = ""
    config: Any = None
    epochs: int = 0
    steps_per_epoch: int = 0
    classes: tuple[str, ...] = ()
    roles: Mapping[Role, str] | None = None
    framework: str = ""
    tags: tuple[str, ...] = ()
    notes: str = ""
    runs_dir: Path | None = None
    """None for the default."""
    run_id: str = ""
    resume: str | bool | None = None
    signals: bool = False
    is_disabled: bool = False
    ignored: tuple[str, ...] = ()
    """Arguments that mean nothing here."""


def start(plan: Plan) -> Run:
    """Start the run, or resume it; if it cannot be written, warn and record nothing.

    Raises:
        ConfigError: an argument is wrong, or the run to resume does not exist.
    """
    check_roles(plan.roles)
    if not plan.epochs:
        epochs = planned_epochs(flat_config(config_values(plan.config)))
        plan = replace(plan, epochs=min(epochs, MAX_EPOCHS))
    try:
        check_mode(MODE, os.environ.get(MODE, "").lower())
    except ConfigError as error:  # the environment may be that of another machine
        say(f"{error}; the run is recorded")
    control = LoopControl(plan.epochs)
    if plan.is_disabled or os.environ.get(MODE, "").lower() == "disabled":
        return _unrecorded_run(plan, control, None)
    try:
        runs_dir = _absolute(plan.runs_dir or default_runs_dir(for_new_run=True))
        if rank() > 0:
            with suppress(ConfigError):  # rank 0 reports it
                return _unrecorded_run(plan, control, _existing_directory(plan, runs_dir))
            return _unrecorded_run(plan, control, None)
        existing = _existing_directory(plan, runs_dir)
        run = existing or _new_directory(plan, runs_dir)
        return _recorded_run(plan, run, is_new=existing is None)
    except RunsDirError as error:
        fix = f"name another directory with {RUNS_DIR} or runs_dir="
        say(f"{error.reason}; nothing is recorded: {fix}")
        return _unrecorded_run(plan, control, None)
    except StorageError as error:
        say(f"{error}; nothing is recorded")
        return _unrecorded_run(plan, control, None)


def _absolute(runs_dir: Path) -> Path:
    """Return the directory independent of the working directory, which the loop may change.

    Raises:
        StorageError: the working directory does not exist.
    """
    try:
        return runs_dir.absolute()
    except OSError as error:
        raise StorageError(f"{runs_dir}: no working directory: {error.strerror}") from None


def _existing_directory(plan: Plan, runs_dir: Path) -> RunDirectory | None:
    """Return the run to resume; None if a new one is to be started.

    Raises:
        ConfigError: it does not exist, or exists and may not.
    """
    resume = plan.resume
    if isinstance(resume, str) and resume and resume not in RESUME_MODES:
        return find_run(runs_dir, resume)
    run_id = plan.run_id or _run_of_environment()
    if not run_id:
        if resume == "must":
            raise ConfigError("resume='must' needs the id of the run: init(resume='ID')")
        return None
    if not RUN_ID.fullmatch(run_id):
        raise ConfigError(f"id {run_id!r}: only letters, digits, '-', '_' and '.' are allowed")
    run = RunDirectory(runs_dir / run_id)
    if not is_run(run.path):
        if resume == "must":
            raise ConfigError(f"run {run_id!r} does not exist in {runs_dir}")
        return None
    if resume == "never" or (plan.run_id and not resume):
        raise ConfigError(f"run {run_id!r} exists already; to continue it: init(resume={run_id!r})")
    return run


def _run_of_environment() -> str:
    """Return the id in `CNN_TUI_RUN`; empty without one.

    In a command of `--on-end` the variable names the run that has ended, not one to resume.
    """
    return "" if STATUS_VARIABLE in os.environ else os.environ.get(RUN, "")


def _new_directory(plan: Plan, runs_dir: Path) -> RunDirectory:
    """Return a new run directory.

    Raises:
        StorageError: it cannot be created.
    """
    run_id = plan.run_id or _run_of_environment()
    if not run_id:
        return create_run(runs_dir)
    path = runs_dir / run_id
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunsDirError(f"{path}: cannot be created: {error.strerror}") from None
    return RunDirectory(path)


def _unrecorded_run(plan: Plan, control: LoopControl, existing: RunDirectory | None) -> Run:
    finished = 0
    if existing is not None:
        with suppress(OSError):
            finished = finished_epochs(read_state(existing)[0])
    return Run(
        None,
        control,
        run_id=existing.id if existing else "",
        name=plan.name,
        project=plan.project,
        config=plan.config,
        finished_epochs=finished,
        has_others=world_size() > 1,
    )


def _recorded_run(plan: Plan, run: RunDirectory, *, is_new: bool) -> Run:
    recorder = Recorder(run)
    state = recorder.state
    try:
        first = _run_started(plan, run) if is_new else _run_resumed(state, run)
    except ConfigError:
        recorder.close()
        raise
    recording = _make_recording(plan, recorder)
    finished = finished_epochs(state)
    stored = stored_config(config_values(plan.config))
    recorded = Run(
        recording,
        recording.control,
        run_id=run.id,
        name=plan.name,
        project=plan.project,
        config=plan.config if plan.config is not None else state.config.get(LOOP_TABLE),
        finished_epochs=finished,
        has_others=world_size() > 1,
    )
    recorder.record(first)
    if not is_new and plan.config is not None and stored != state.config:
        recording.loop.new_config = stored
    recording.loop.describe()
    recording.notifier = _make_notifier(recorder)
    _mark(plan, run)
    if plan.ignored:
        recording.warn("init", f"init ignores {listed(plan.ignored)}")
    if plan.signals:
        _stop_on_signals(recording)
    say(f"run {recorded.name}; watch it with: {command_for('watch', run)}")
    recording.start()
    ENDING.add(recorded)
    return recorded


def finished_epochs(state: RunState) -> int:
    """Return the number of the last finished epoch; 0 without one."""
    return max((epoch.epoch for epoch in state.epochs), default=0)


def _kept_steps(state: RunState) -> int:
    """Return the steps after which a later session goes on: those of the finished epochs.

    A loop repeats the epoch in which it was interrupted. One that continues within an epoch, from a
    checkpoint there, gives its steps to `log`.
    """
    if not state.steps_per_epoch:
        return state.steps_done
    return min(finished_epochs(state) * state.steps_per_epoch, state.steps_done)


def _make_recording(plan: Plan, recorder: Recorder) -> Recording:
    state = recorder.state
    control = LoopControl(plan.epochs or state.total_epochs)
    loop = LoopLog(
        recorder.record,
        control,
        preset=_preset(plan),
        steps_per_epoch=plan.steps_per_epoch or state.steps_per_epoch,
        length_is_given=plan.steps_per_epoch > 0,
        roles=plan.roles,
        framework=plan.framework,
        step=_kept_steps(state),
        finished_epochs=finished_epochs(state),
        is_percent=state.loop is not None and state.loop.percent,
    )
    loop.classes = plan.classes or state.classes
    return Recording(recorder, control, loop, plan.roles)


def _preset(plan: Plan) -> str:
    """Return what is trained: the project, or the name of the program."""
    program = clean_name(Path(sys.argv[0]).name)
    return plan.project or (program if program[:1] not in "-" else "python")


def _run_started(plan: Plan, run: RunDirectory) -> Event:
    return RunStarted(
        run_id=run.id,
        name=plan.name,
        preset=_preset(plan),
        config=stored_config(config_values(plan.config)),
        pid=os.getpid(),
        host=socket.gethostname(),
        version=version("cnn-tui"),
        command=tuple(sys.orig_argv),
        directory=_working_directory(),
        processes=world_size(),
    )


def _working_directory() -> str:
    try:
        return str(Path.cwd())
    except OSError:  # it was removed
        return ""


def _run_resumed(state: RunState, run: RunDirectory) -> Event:
    """Return the first event of a later session.

    Raises:
        ConfigError: the run is not that of a loop.
    """
    if state.started is not None and state.started.format > FORMAT:
        raise ConfigError(f"run {run.id}: a newer version of cnn-tui wrote it; use that version")
    if state.loop is None:
        raise ConfigError(f"run {run.id}: no loop logged it, so that none can continue it")
    finished = finished_epochs(state)
    return RunResumed(
        pid=os.getpid(),
        host=socket.gethostname(),
        version=version("cnn-tui"),
        epoch=finished + 1,
        step=_kept_steps(state) - finished * state.steps_per_epoch,
        processes=world_size(),
        file="",
        seconds=state.elapsed_seconds,
    )


def _make_notifier(recorder: Recorder) -> "Notifier | None":
    """Return what sends messages about the run; None if nobody is to get them.

    The receivers are those of environment variables, else those of an earlier session.
    """
    run = recorder.run
    if not {URL_VARIABLE, COMMAND_VARIABLE} & os.environ.keys() and not run.notify.exists():
        return None
    # Imported here, as few runs need it.
    from cnn_engine.notifications.notifier import Notifier  # noqa: PLC0415
    from cnn_engine.notifications.targets import targets_of_environment, write_targets  # noqa: PLC0415

    try:
        if targets := targets_of_environment(os.environ):
            write_targets(run, targets)
    except (ConfigError, StorageError) as error:
        say(f"{error}; training goes on")
    notifier = Notifier(run)
    recorder.observer = notifier.observe
    return notifier


def _mark(plan: Plan, run: RunDirectory) -> None:
    """Add tags and the note to the run's marks."""
    if plan.tags or plan.notes:
        marks = read_marks(run).with_tags(*plan.tags)
        with suppress(StorageError):
            write_marks(run, replace(marks, note=plan.notes or marks.note))


def _stop_on_signals(recording: Recording) -> None:
    def stop(name: str) -> bool:
        recording.recorder.commands.add(Command(name="stop", by=name))
        return "stop" in recording.control.offered()

    try:
        stop_on_signals(stop)
    except ValueError:
        recording.warn("signals", "signals=True works in the main thread only")


def clean_tags(tags: str | Iterable[str] | None) -> tuple[str, ...]:
    """Return tags as marks can hold them.

    Raises:
        ConfigError: they are no list.
    """
    words = (tags,) if isinstance(tags, str) else names("tags", tags)
    joined = ("-".join(word.replace(",", " ").split()) for word in words)
    return tuple(clean_name(tag, MAX_TAG_LENGTH) for tag in joined if tag)


def clean_note(notes: str | None) -> str:
    """Return a note as marks can hold it."""
    return clean_name(str(notes or ""), MAX_NOTE_LENGTH)


def clean_run_name(name: str | None) -> str:
    """Return the name of a run as marks can hold it."""
    return clean_name(str(name or ""), MAX_NAME_LENGTH)
