"""A series of runs, one after another: several seeds, folds, or values of config keys.

Each is an ordinary run that can be watched, shown and resumed; they share a group.
"""

import json
import os
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from cnn_engine.errors import ConfigError
from cnn_engine.runlog.events import AlarmRaised, Event
from cnn_engine.runlog.log import LogReader
from cnn_engine.runlog.state import RunState
from cnn_engine.runs.directory import RunDirectory
from cnn_engine.runs.series_plan import PlannedRun, SeriesPlan
from cnn_tui.headless.printer import progress_line
from cnn_tui.headless.run import hangup_proof_streams
from cnn_tui.live.follower import follow
from cnn_tui.settings.run_defaults import with_run_defaults
from cnn_tui.terminal.progress_line import ProgressLine
from cnn_tui.terminal.signals import StopSignals
from cnn_tui.terminal.status import StreamStatus, hide_status
from cnn_tui.terminal.tty import notify
from cnn_tui.text.events import alarm_text
from cnn_tui.text.numbers import duration, percent
from cnn_tui.text.run_status import run_status
from cnn_tui.text.safe import safe_text

if TYPE_CHECKING:
    import signal

    from cnn_engine.session.engine import Engine
    from cnn_engine.session.series import Member, Series


def train_series(series: "Series") -> int:
    """Train the runs of a series that are not done, print each result on stderr; return the code.

    A signal stops the current run and the series.
    """
    StopSignals(series.request_stop, _quit_now)
    hangup_proof_streams(lambda: series.current.console)
    printer = SeriesPrinter(len(series.members))
    try:
        return series.train(printer)
    finally:
        printer.close()


def _quit_now(number: "signal.Signals") -> None:
    hide_status()
    os._exit(128 + number)


class SeriesPrinter:
    """Prints a progress line for the current run, and a line for each result."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._number = 0
        self._progress = ProgressLine(sys.stderr)
        self._status = StreamStatus(sys.stderr)

    def follow(self, member: "Member", run: RunDirectory, engine: "Engine") -> None:
        """Show the progress of a run until its engine has ended."""
        self._number = member.number
        follow(RunState(), LogReader(run.events), self, lambda _: not engine.is_alive())

    def clear(self) -> None:
        """Clear the progress line."""
        self._progress.clear()

    def close(self) -> None:
        """Clear the progress line, and restore the title of the terminal."""
        self._progress.clear()
        self._status.hide()

    def show(self, event: Event, state: RunState) -> None:
        """Show the progress of the current run, and its alarms."""
        position = f"Run {self._number}/{self._count}"
        if isinstance(event, AlarmRaised):
            self._progress.clear()
            print(f"{position}: {alarm_text(event)}", file=sys.stderr, flush=True)
        self._progress.write(f"{position}  {progress_line(state) if state.prepared else '…'}")
        if self._status.is_due and not state.has_ended:
            self._status.show(run_status(state, position))

    def ended(self, member: "Member") -> None:
        """Print the result of a run."""
        self._progress.clear()
        summary = member.summary
        if summary is None:
            return
        test = summary.test_accuracy
        result = summary.status if test is None else f"test {percent(test, 2)}"
        error = f": {summary.error}" if summary.error else ""
        position = f"Run {member.number}/{self._count} {summary.run_id}"
        text = f"{position}  {member.planned.label}  {result}{error}  {duration(summary.seconds)}"
        print(safe_text(text, 2000), file=sys.stderr, flush=True)

    def report(self, text: str) -> None:
        """Print a line."""
        self._progress.clear()
        notify(text)


def plan_series(  # noqa: PLR0913, PLR0917 - the options of a command
    preset: str,
    settings: Sequence[str],
    name: str,
    repeat: int,
    sweeps: Sequence[str],
    runs_dir: Path | None = None,
    folds: int | None = None,
    *,
    stop_on_failure: bool = False,
    command: Sequence[str] = (),
) -> SeriesPlan:
    """Return the runs of a series; all configs are checked before the first run starts.

    Args:
        preset: A preset's name or a config file.
        settings: `KEY=VALUE` for all runs.
        name: Start of the name of each run.
        repeat: Number of seeds per combination of values.
        sweeps: `KEY=VALUE,VALUE…`; several of them are combined in all ways.
        runs_dir: Directory of the run that `model.weights` may name; None for the default.
        folds: Number of folds, which are validated in turn; None for the usual validation.
        stop_on_failure: Start no run after one that has failed; always with folds.
        command: Command line, word by word, without secrets.

    Raises:
        ConfigError: a sweep or a config is invalid, folds are repeated, or a device does not exist.
        DataError: there are no images, or fewer than folds.
    """
    # Imported here, because they import pydantic.
    from cnn_engine.session.preflight import check_request  # noqa: PLC0415
    from cnn_engine.session.request import Request  # noqa: PLC0415

    if folds is not None and repeat > 1:
        raise ConfigError(
            "run: --folds cannot be used with --repeat; for another seed use --seed N"
        )
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
            request = with_run_defaults(request, overrides)
            run = PlannedRun(
                setting=setting,
                seed=seed,
                fold=request.config.data.fold,
                name="",
                preset=request.preset,
                config=request.config.model_dump(mode="json"),
            )
            planned.append(replace(run, name=f"{name} {run.label}".strip()))
        check_request(request)
    return SeriesPlan(
        runs=tuple(planned),
        name=name,
        stop_on_failure=stop_on_failure or folds is not None,
        command=tuple(command),
    )


def _fold_numbers(folds: int | None) -> Sequence[int | None]:
    return [None] if folds is None else range(1, folds + 1)


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
