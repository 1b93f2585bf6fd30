"""Several runs one after another: seeds of one config, or values of its settings, and their means.

Each is a run like any other, to be watched, shown and resumed as such; they have a group in common.
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
from cnn_engine.runlog.events import Event
from cnn_engine.runlog.log import LogReader
from cnn_engine.runlog.state import RunState
from cnn_engine.runs.directory import RunDirectory, create_run
from cnn_engine.runs.summary import RunSummary, read_summary
from cnn_tui.headless.printer import progress_line
from cnn_tui.headless.run import hangup_proof_streams, request_stop, resume_hint
from cnn_tui.live.follower import follow
from cnn_tui.terminal.progress_line import ProgressLine
from cnn_tui.terminal.signals import HANGUP_EXIT_CODE, StopSignals
from cnn_tui.terminal.tty import notify
from cnn_tui.text.numbers import duration, percent
from cnn_tui.text.safe import safe_text

if TYPE_CHECKING:
    import signal

    from cnn_engine.session.request import Request


class PlannedRun(NamedTuple):
    """One run of a series."""

    setting: str
    """What is set in it, as `optimizer.lr=0.003`; empty where only seeds differ."""

    seed: int
    request: "Request"


@dataclass
class Series:
    """The runs of one command."""

    planned: list[PlannedRun]
    runs_dir: Path
    ends_at_failure: bool
    progress: ProgressLine = field(default_factory=lambda: ProgressLine(sys.stderr))
    done: list[tuple[PlannedRun, RunSummary]] = field(default_factory=list)
    current: RunDirectory | None = None
    stopped_by: "signal.Signals | None" = None

    def run(self) -> int:
        """Train all, telling of each on stderr as it ends; the exit code."""
        StopSignals(self._stop, self._leave)
        hangup_proof_streams(self._elsewhere)
        group, exit_code = "", 0
        for planned in self.planned:
            run = self.current = create_run(self.runs_dir)
            group = group or run.id
            code = self._train(replace(planned.request, group=group), run)
            summary = read_summary(run)
            self.done.append((planned, summary))
            self._tell(planned, summary)
            exit_code = exit_code or code
            if self.stopped_by is not None:
                notify(f"{len(self.done)} of {len(self.planned)} runs; {resume_hint(run)}")
                return 128 + self.stopped_by
            if code and self.ends_at_failure:
                break
        return exit_code

    def _train(self, request: "Request", run: RunDirectory) -> int:
        """Train one run to its end, showing how far it is; its exit code."""
        from cnn_engine.runs.recorder import Recorder  # noqa: PLC0415
        from cnn_engine.session.engine import Engine  # noqa: PLC0415 - its config takes pydantic

        engine = Engine(request, Recorder(run))
        engine.start()
        follow(RunState(), LogReader(run.events), self, lambda _: not engine.is_alive())
        try:
            engine.join()
        except StorageError as error:
            notify(str(error))
        return engine.exit_code

    def clear(self) -> None:
        """Take the progress line away."""
        self.progress.clear()

    def show(self, event: Event, state: RunState) -> None:  # noqa: ARG002 - as all printers
        """Show how far the run in hand is."""
        which = f"Run {len(self.done) + 1}/{len(self.planned)}"
        self.progress.write(f"{which}  {progress_line(state) if state.prepared else '…'}")

    def _tell(self, planned: PlannedRun, summary: RunSummary) -> None:
        self.progress.clear()
        what = f"{planned.setting} seed {planned.seed}".strip()
        test = summary.test_accuracy
        came = summary.status if test is None else f"test {percent(test, 2)}"
        why = f": {summary.error}" if summary.error else ""
        text = f"Run {len(self.done)}/{len(self.planned)} {summary.run_id}  {what}  {came}{why}"
        print(safe_text(f"{text}  {duration(summary.seconds)}", 2000), file=sys.stderr, flush=True)

    def _stop(self, number: "signal.Signals") -> None:
        self.stopped_by = number
        if self.current is not None:
            request_stop(self.current, number)

    def _leave(self, number: "signal.Signals") -> None:
        os._exit(128 + number)

    def _elsewhere(self) -> Path:
        """Where lines go once the terminal is lost: the run in hand keeps them."""
        if self.current is None:
            os._exit(HANGUP_EXIT_CODE)
        return self.current.console


def plan_series(
    preset: str, settings: Sequence[str], name: str, repeat: int, sweeps: Sequence[str]
) -> list[PlannedRun]:
    """The runs that are asked for, all checked before one starts.

    Args:
        preset: A preset's name or a config file.
        settings: `KEY=VALUE`, for all of them.
        name: What the user calls the series.
        repeat: Seeds of each.
        sweeps: `KEY=VALUE,VALUE…`; of several, every combination is run.

    Raises:
        ConfigError: naming what is wrong, with which of the runs.
    """
    from cnn_engine.session.request import Request  # noqa: PLC0415 - its config takes pydantic

    planned = []
    for values in product(*map(_swept, sweeps)):
        setting = " ".join(values)
        first = Request.from_preset(preset, [*settings, *values]).config.train.seed
        for seed in range(first, first + repeat):
            label = f"{name} {setting} seed {seed}".strip()
            given = [*settings, *values, f"train.seed={seed}"]
            planned.append(PlannedRun(setting, seed, Request.from_preset(preset, given, label)))
    return planned


def _swept(sweep: str) -> list[str]:
    """`KEY=VALUE` for each of the values of `KEY=VALUE,VALUE…`.

    Raises:
        ConfigError: it is not written so.
    """
    key, equals, text = sweep.partition("=")
    if not equals or not key or not text:
        example = "optimizer.lr=1e-3,3e-3"
        raise ConfigError(f"--sweep {sweep}: write it as KEY=VALUE,VALUE such as {example}")
    try:
        values = tomllib.loads(f"values = [{text}]")["values"]
    except tomllib.TOMLDecodeError:  # words without quotes
        values = text.split(",")
    return [f"{key.strip()}={_as_toml(value)}" for value in values]


def _as_toml(value: object) -> str:
    return value.strip() if isinstance(value, str) else json.dumps(value)
