"""Trains the runs of a series one after the other; those that are done already are left alone."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cnn_engine.config.presets import from_dict
from cnn_engine.errors import ConfigError, RunHeldError, StorageError, UserError
from cnn_engine.notifications.series import notify_series
from cnn_engine.notifications.targets import NO_TARGETS, Targets, write_targets
from cnn_engine.queue.devices import DeviceLock
from cnn_engine.runs.directory import RunDirectory, create_run
from cnn_engine.runs.hints import command_in
from cnn_engine.runs.recorder import HandedOver, Recorder
from cnn_engine.runs.series import (
    forget_stop,
    is_stop_requested,
    lock_series,
    member_of,
    runs_of_group,
)
from cnn_engine.runs.series_plan import PlannedRun, SeriesPlan, read_plan, write_plan
from cnn_engine.runs.summary import LIVE, RunSummary, read_summary
from cnn_engine.session.engine import Engine, begin_run
from cnn_engine.session.preflight import check_request
from cnn_engine.session.request import Request
from cnn_engine.session.spawn import spawn_series
from cnn_engine.system.stop_signals import TIME_LIMIT_EXIT_CODE


@dataclass(kw_only=True)
class Member:
    """A run of a series, which may not be started yet."""

    number: int
    """Number in the series, from 1."""

    planned: PlannedRun
    run: RunDirectory | None = None
    summary: RunSummary | None = None

    @property
    def is_done(self) -> bool:
        """True if it is trained to its end."""
        return self.summary is not None and self.summary.status == "done"


class Observer(Protocol):
    """Shows the progress of a series."""

    def follow(self, member: Member, run: RunDirectory, engine: Engine) -> None:
        """Return once the engine, which is started, has ended."""

    def ended(self, member: Member) -> None:
        """Show the result of a run that was trained now, or earlier."""

    def report(self, text: str) -> None:
        """Show a line."""


class Series:
    """The runs of one command, which this process trains. It holds the lock of the series."""

    def __init__(  # noqa: PLR0913 - what differs between a new, a resumed and a detached series
        self,
        plan: SeriesPlan,
        first: RunDirectory,
        lock: int,
        targets: Targets,
        *,
        handed_over: HandedOver | None = None,
        allow_code: bool = False,
    ) -> None:
        """Find the runs that there are already.

        Args:
            plan: All runs.
            first: The first run, in whose directory the plan is.
            lock: Descriptor of `lock_series`.
            targets: Receivers of messages about the series and its runs.
            handed_over: Set if another process hands over the first run, which it has begun.
            allow_code: Import networks that are the user's own code.
        """
        self.plan, self.first, self.targets = plan, first, targets
        self._lock, self._handed_over, self._allow_code = lock, handed_over, allow_code
        self.members = find_members(plan, first)
        self._engine: Engine | None = None
        self._stopped_by: signal.Signals | None = None
        self._device: DeviceLock | None = None

    @property
    def id(self) -> str:
        """Id of the series: that of its first run."""
        return self.first.id

    @property
    def current(self) -> RunDirectory:
        """The run that is trained, or the first one."""
        runs = [member.run for member in self.members if member.run is not None]
        return runs[-1] if runs else self.first

    @property
    def is_stopped(self) -> bool:
        """True if no further run is to be started."""
        return self._stopped_by is not None or is_stop_requested(self.first)

    def request_stop(self, number: signal.Signals) -> None:
        """Stop the current run and the series, because of a signal; safe in a signal handler."""
        self._stopped_by = number
        if self._engine is not None:
            self._engine.request_stop(number)

    def hand_over(self) -> int:
        """Return the descriptor that holds the lock, for a process that trains instead."""
        return self._lock

    def close(self) -> None:
        """Release the locks of the series and of its device."""
        os.close(self._lock)
        self._keep_device(None)

    def _keep_device(self, device: DeviceLock | None) -> None:
        """Hold a device until the next run of the series does, so that the queue starts none."""
        if self._device is not None:
            self._device.close()
        self._device = device

    def train(self, observer: Observer) -> int:
        """Train all runs that are not done, and return the first exit code that is not 0.

        The messages about the end of the series are sent.
        """
        exit_code, is_stopped = 0, False
        try:
            for member in self.members:
                code = 0 if member.is_done else self._train(member, observer)
                observer.ended(member)
                exit_code = exit_code or code
                if self.is_stopped or code == TIME_LIMIT_EXIT_CODE:
                    is_stopped = self._report_stop(observer)
                    exit_code = 128 + self._stopped_by if self._stopped_by else code
                    break
                if code and self.plan.stop_on_failure:
                    break
        finally:
            self.close()
        summaries = [member.summary for member in self.members if member.summary is not None]
        notice = notify_series(
            self.first,
            summaries,
            len(self.members),
            exit_code=exit_code,
            is_stopped=is_stopped,
        )
        if notice:
            observer.report(notice)
        return exit_code

    def _report_stop(self, observer: Observer) -> bool:
        """Report how to go on; return False if all runs are done anyway."""
        done = sum(member.is_done for member in self.members)
        if done == len(self.members):
            return False
        begun = sum(member.run is not None for member in self.members)
        resume = command_in(self.first.path.parent, "resume", f"group:{self.id}")
        observer.report(
            f"stopped in run {begun} of {len(self.members)}; {done} done. Resume with: {resume}"
        )
        return True

    def _train(self, member: Member, observer: Observer) -> int:
        """Train a run, or resume it, and return its exit code."""
        try:
            engine = self._make_engine(member)
        except UserError as error:
            observer.report(str(error))
            member.summary = read_summary(member.run) if member.run else None
            return error.exit_code
        self._engine = engine
        engine.is_in_series = True
        if self._stopped_by is not None:  # before there was an engine
            engine.request_stop(self._stopped_by)
        engine.start()
        if member.run is not None:
            observer.follow(member, member.run, engine)
        try:
            engine.join()
        except StorageError as error:
            observer.report(str(error))
        self._keep_device(engine.device)
        if engine.notice:
            observer.report(engine.notice)
        member.summary = read_summary(member.run) if member.run else None
        return engine.exit_code

    def _make_engine(self, member: Member) -> Engine:
        """Return the engine of a run: of a new one, or of one that is resumed.

        Raises:
            UserError: as `Engine.resume`.
        """
        if member.run is not None and member.summary is not None and member.summary.started:
            handed_over, self._handed_over = self._handed_over, None
            allow_code = self._allow_code
            engine = Engine.resume(member.run, handed_over=handed_over, allow_code=allow_code)
            if handed_over is None:
                write_targets(member.run, self.targets)
            return engine
        request = request_of(
            self.plan, member.number, self.first, self.targets, allow_code=self._allow_code
        )
        member.run = member.run or create_run(self.first.path.parent)
        return Engine(request, Recorder(member.run))


def request_of(
    plan: SeriesPlan, number: int, first: RunDirectory, targets: Targets, *, allow_code: bool
) -> Request:
    """Return the request for a run of a series.

    Args:
        plan: The series.
        number: Number of the run, from 1.
        first: Directory of the first run.
        targets: Receivers of messages.
        allow_code: Import a network that is the user's own code.

    Raises:
        ConfigError: a newer version of cnn-tui wrote the plan, or the network is not allowed.
    """
    planned = plan.runs[number - 1]
    return Request(
        preset=planned.preset,
        config=from_dict(planned.config, allow_code=allow_code),
        name=planned.name,
        group=first.id,
        member=number,
        members=len(plan.runs),
        setting=planned.setting,
        # Marks that change meanwhile would make the images of the runs different.
        marks_of=first.path if number > 1 else None,
        command=plan.command,
        notify=targets,
    )


def find_members(plan: SeriesPlan, first: RunDirectory) -> list[Member]:
    """Return the runs of a plan, each with its directory and summary if it was started."""
    members = [Member(number=number, planned=run) for number, run in enumerate(plan.runs, 1)]
    members[0].run = first
    for run in runs_of_group(first.path.parent, first.id):
        number = member_of(run)
        if 1 <= number <= len(members):
            members[number - 1].run = run
    for member in members:
        if member.run is not None and member.run.events.exists():
            member.summary = read_summary(member.run)
    return members


def start_series(
    plan: SeriesPlan, runs_dir: Path, targets: Targets, *, allow_code: bool = True
) -> Series:
    """Create the first run of a series with the plan, and return the series, not started yet.

    Raises:
        StorageError: the run or the plan cannot be written.
    """
    first = create_run(runs_dir)
    write_plan(first, plan)
    return Series(plan, first, lock_series(first), targets, allow_code=allow_code)


def resume_series(first: RunDirectory, targets: Targets, *, allow_code: bool = False) -> Series:
    """Return a series that trains what is missing, not started yet.

    Raises:
        ConfigError: all its runs are done, a newer version of cnn-tui wrote it, or its device does
            not exist here.
        DataError: its plan is missing or damaged, or there are no images.
        StorageError: another process trains it or one of its runs, or it cannot be written.
    """
    plan = read_plan(first)
    with _locked(first) as lock:
        series = Series(plan, first, lock, targets, allow_code=allow_code)
        missing = [member for member in series.members if not member.is_done]
        if not missing:
            raise ConfigError(f"series {first.id}: all its {len(plan.runs)} runs are done")
        for member in missing:
            if member.summary is not None and member.summary.status in LIVE and member.run:
                watch = command_in(first.path.parent, "watch", member.run.id)
                text = f"its run {member.run.id} is being trained; to watch it: {watch}"
                raise RunHeldError(f"series {first.id}: {text}")
        number = missing[0].number
        check_request(request_of(plan, number, first, targets, allow_code=allow_code), is_new=False)
        forget_stop(first)
        return series


@contextmanager
def _locked(first: RunDirectory) -> Iterator[int]:
    """Lock a series; unlock it again if an error is raised."""
    try:
        lock = lock_series(first)
    except RunHeldError as error:
        watch = command_in(first.path.parent, "watch", f"group:{first.id}")
        raise RunHeldError(f"{error}; to watch it: {watch}") from None
    try:
        yield lock
    except BaseException:
        os.close(lock)
        raise


def start_series_in_background(plan: SeriesPlan, runs_dir: Path, targets: Targets) -> RunDirectory:
    """Start a background process that trains a series; return its first run, which can be watched.

    Raises:
        StorageError: the run cannot be written, or the process cannot be started.
    """
    first = create_run(runs_dir)
    write_plan(first, plan)
    with _locked(first) as lock, Recorder(first) as recorder:
        begin_run(request_of(plan, 1, first, targets, allow_code=True), recorder)
        spawn_series(first, lock, recorder.release())
    os.close(lock)
    return first


def resume_series_in_background(first: RunDirectory) -> None:
    """Start a background process that trains what is missing of a series, and return at once.

    Raises:
        UserError: as `resume_series`.
        StorageError: the process cannot be started.
    """
    series = resume_series(first, NO_TARGETS, allow_code=True)  # the process reads the targets
    try:
        spawn_series(first, series.hand_over())
    finally:
        series.close()
