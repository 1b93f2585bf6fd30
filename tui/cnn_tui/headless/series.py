"""A series of runs, one after another: several seeds, folds, or values of config keys.

Each is an ordinary run that can be watched, shown and resumed; they share a group.
"""

import json
import os
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cnn_engine.errors import ConfigError, StorageError
from cnn_engine.notifications.series import notify_series
from cnn_engine.notifications.targets import NO_TARGETS, Targets
from cnn_engine.runlog.events import AlarmRaised, Event
from cnn_engine.runlog.log import LogReader
from cnn_engine.runlog.state import RunState
from cnn_engine.runs.directory import RunDirectory, create_run
from cnn_engine.runs.summary import RunSummary, read_summary
from cnn_engine.system.stop_signals import TIME_LIMIT_EXIT_CODE
from cnn_tui.headless.printer import progress_line
from cnn_tui.headless.run import hangup_proof_streams, resume_hint
from cnn_tui.live.follower import follow
from cnn_tui.terminal.progress_line import ProgressLine
from cnn_tui.terminal.signals import HANGUP_EXIT_CODE, StopSignals
from cnn_tui.terminal.status import StreamStatus, hide_status
from cnn_tui.terminal.tty import notify
from cnn_tui.text.events import alarm_text
from cnn_tui.text.numbers import duration, percent
from cnn_tui.text.run_status import run_status
from cnn_tui.text.safe import safe_text

if TYPE_CHECKING:
    import signal

    from cnn_engine.config.schema import DataConfig
    from cnn_engine.session.engine import Engine
    from cnn_engine.session.request import Request


class PlannedRun(NamedTuple):
    """One run of a series."""

    setting: str
    """The swept values, such as `optimizer.lr=0.003`; empty if only the seeds differ."""

    seed: int
    request: "Request"


@dataclass
class Series:
    """The runs of one command."""

    planned: list[PlannedRun]
    runs_dir: Path
    stop_on_failure: bool
    notify: Targets = NO_TARGETS
    """Receivers of messages about the series and its runs."""
    progress: ProgressLine = field(default_factory=lambda: ProgressLine(sys.stderr))
    status: StreamStatus = field(default_factory=lambda: StreamStatus(sys.stderr))
    done: list[tuple[PlannedRun, RunSummary]] = field(default_factory=list)
    current: RunDirectory | None = None
    engine: "Engine | None" = None
    """Trains the current run."""
    stopped_by: "signal.Signals | None" = None

    @property
    def has_folds(self) -> bool:
        """True if the runs validate the folds of a cross-validation."""
        return any(planned.request.config.data.folds for planned in self.planned)

    def runs_of(self, setting: str) -> list[RunDirectory]:
        """Return the directories of the finished runs of a setting."""
        return [
            RunDirectory(self.runs_dir / summary.run_id)
            for planned, summary in self.done
            if planned.setting == setting
        ]

    def run(self) -> int:
        """Train all runs, print each result on stderr, and return the first non-zero exit code.

        The messages about the end of the series are sent.
        """
        exit_code = self._run_all()
        if self.done:
            _, first = self.done[0]
            notice = notify_series(
                RunDirectory(self.runs_dir / first.run_id),
                [summary for _, summary in self.done],
                len(self.planned),
                exit_code=exit_code,
                is_stopped=self.stopped_by is not None or exit_code == TIME_LIMIT_EXIT_CODE,
            )
            if notice:
                notify(notice)
        return exit_code

    def _run_all(self) -> int:
        StopSignals(self._stop, self._quit_now)
        hangup_proof_streams(self._console)
        group, exit_code, marks_of = "", 0, None
        for planned in self.planned:
            run = self.current = create_run(self.runs_dir)
            group = group or run.id
            # Marks that change meanwhile would make their images different.
            request = replace(planned.request, group=group, marks_of=marks_of, notify=self.notify)
            code = self._train(request, run)
            marks_of = marks_of or run.path
            summary = read_summary(run)
            self.done.append((planned, summary))
            self._print_result(planned, summary)
            exit_code = exit_code or code
            if self.stopped_by is not None or code == TIME_LIMIT_EXIT_CODE:
                left = len(self.planned) - len(self.done)
                others = "; those after it are not started" if left else ""
                notify(
                    f"stopped in run {len(self.done)} of {len(self.planned)}{others}. "
                    f"{resume_hint(run)}"
                )
                return code if self.stopped_by is None else 128 + self.stopped_by
            if code and self.stop_on_failure:
                break
        return exit_code

    def _train(self, request: "Request", run: RunDirectory) -> int:
        """Train one run with a progress line and return its exit code."""
        from cnn_engine.runs.recorder import Recorder  # noqa: PLC0415
        from cnn_engine.session.engine import Engine  # noqa: PLC0415 - imports pydantic

        engine = self.engine = Engine(request, Recorder(run))
        engine.is_in_series = True
        if self.stopped_by is not None:  # before there was an engine
            engine.request_stop(self.stopped_by)
        engine.start()
        follow(RunState(), LogReader(run.events), self, lambda _: not engine.is_alive())
        try:
            engine.join()
        except StorageError as error:
            notify(str(error))
        if engine.notice:
            notify(engine.notice)
        return engine.exit_code

    def clear(self) -> None:
        """Clear the progress line."""
        self.progress.clear()

    def close(self) -> None:
        """Clear the progress line, and restore the title of the terminal."""
        self.progress.clear()
        self.status.hide()

    def show(self, event: Event, state: RunState) -> None:
        """Show the progress of the current run, and its alarms."""
        position = f"Run {len(self.done) + 1}/{len(self.planned)}"
        if isinstance(event, AlarmRaised):
            self.progress.clear()
            print(f"{position}: {alarm_text(event)}", file=sys.stderr, flush=True)
        self.progress.write(f"{position}  {progress_line(state) if state.prepared else '…'}")
        if self.status.is_due and not state.has_ended:
            self.status.show(run_status(state, position))

    def _print_result(self, planned: PlannedRun, summary: RunSummary) -> None:
        self.progress.clear()
        label = _label(planned.setting, planned.seed, planned.request.config.data)
        test = summary.test_accuracy
        result = summary.status if test is None else f"test {percent(test, 2)}"
        error = f": {summary.error}" if summary.error else ""
        text = (
            f"Run {len(self.done)}/{len(self.planned)} {summary.run_id}  {label}  {result}{error}"
        )
        print(safe_text(f"{text}  {duration(summary.seconds)}", 2000), file=sys.stderr, flush=True)

    def _stop(self, number: "signal.Signals") -> None:
        self.stopped_by = number
        if self.engine is not None:
            self.engine.request_stop(number)

    def _quit_now(self, number: "signal.Signals") -> None:
        hide_status()
        os._exit(128 + number)

    def _console(self) -> Path:
        """Return the current run's file for output without a terminal; exit if there is none."""
        if self.current is None:
            os._exit(HANGUP_EXIT_CODE)
        return self.current.console


def plan_series(  # noqa: PLR0913, PLR0917 - the options of a command
    preset: str,
    settings: Sequence[str],
    name: str,
    repeat: int,
    sweeps: Sequence[str],
    runs_dir: Path | None = None,
    folds: int | None = None,
) -> list[PlannedRun]:
    """Return the runs of a series; all configs are checked before the first run starts.

    Args:
        preset: A preset's name or a config file.
        settings: `KEY=VALUE` for all runs.
        name: Start of the name of each run.
        repeat: Number of seeds per combination of values.
        sweeps: `KEY=VALUE,VALUE…`; several of them are combined in all ways.
        runs_dir: Directory of the run that `model.weights` may name; None for the default.
        folds: Number of folds, which are validated in turn; None for the usual validation.

    Raises:
        ConfigError: a sweep or a config is invalid, or a device does not exist.
        DataError: there are no images.
    """
    # Imported here, because they import pydantic.
    from cnn_engine.session.preflight import check_request  # noqa: PLC0415
    from cnn_engine.session.request import Request  # noqa: PLC0415

    planned = []
    for values in product(*map(_parse_sweep, sweeps)):
        setting = " ".join(values)
        first = Request.from_preset(preset, [*settings, *values], runs_dir=runs_dir)
        first_seed = first.config.train.seed
        for seed, fold in product(range(first_seed, first_seed + repeat), _fold_numbers(folds)):
            overrides = [*settings, *values, f"train.seed={seed}"]
            if fold is not None:
                overrides += [f"data.folds={folds}", f"data.fold={fold}"]
            request = Request.from_preset(preset, overrides, runs_dir=runs_dir)
            label = f"{name} {_label(setting, seed, request.config.data)}".strip()
            planned.append(PlannedRun(setting, seed, replace(request, name=label)))
        check_request(request)
    return planned


def _fold_numbers(folds: int | None) -> Sequence[int | None]:
    return [None] if folds is None else range(1, folds + 1)


def _label(setting: str, seed: int, data: "DataConfig") -> str:
    """Return `optimizer.lr=0.003 seed 1`, or with folds `optimizer.lr=0.003 fold 2/5`."""
    part = f"seed {seed}" if data.folds is None else f"fold {data.fold}/{data.folds}"
    return f"{setting} {part}".strip()


def _parse_sweep(sweep: str) -> list[str]:
    """Return `KEY=VALUE` for each value of `KEY=VALUE,VALUE…`.

    Raises:
        ConfigError: the text does not have that form.
    """
    key, equals, text = sweep.partition("=")
    if not equals or not key or not text:
        example = "optimizer.lr=1e-3,3e-3"
        raise ConfigError(f"--sweep {sweep}: expected KEY=VALUE,VALUE such as {example}")
    try:
        values = tomllib.loads(f"values = [{text}]")["values"]
    except tomllib.TOMLDecodeError:  # unquoted words
        values = text.split(",")
    return [f"{key.strip()}={_as_toml(value)}" for value in values]


def _as_toml(value: object) -> str:
    return value.strip() if isinstance(value, str) else json.dumps(value)
