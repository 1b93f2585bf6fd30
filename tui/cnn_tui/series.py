"""Several runs one after another: seeds of one config, or values of its settings, and their means.

Each is a run like any other, to be watched, shown and resumed as such; they have a group in common.
"""

import json
import os
import sys
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import product
from pathlib import Path
from statistics import mean, stdev
from typing import TYPE_CHECKING, Any, NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cnn_engine import runs
from cnn_engine.errors import ConfigError, StorageError
from cnn_engine.events import Event
from cnn_engine.runlog import LogReader
from cnn_engine.runs import RunDirectory
from cnn_engine.state import RunState
from cnn_engine.summary import RunSummary, read_summary
from cnn_tui.format import duration, percent, safe_text
from cnn_tui.headless import ask_to_stop, last_words, outlast_terminal
from cnn_tui.printer import follow, progress_line
from cnn_tui.progress_line import ProgressLine
from cnn_tui.signals import LOST_CODE, StopSignals
from cnn_tui.terminal import say

if TYPE_CHECKING:
    import signal

    from cnn_engine.launch import Request


class Planned(NamedTuple):
    """One run of a series."""

    setting: str
    """What is set in it, as `optimizer.lr=0.003`; empty where only seeds differ."""

    seed: int
    request: "Request"


@dataclass
class Series:
    """The runs of one command."""

    planned: list[Planned]
    runs_dir: Path
    ends_at_failure: bool
    progress: ProgressLine = field(default_factory=lambda: ProgressLine(sys.stderr))
    done: list[tuple[Planned, RunSummary]] = field(default_factory=list)
    current: RunDirectory | None = None
    stopped_by: "signal.Signals | None" = None

    def run(self) -> int:
        """Train all, telling of each on stderr as it ends; the exit code."""
        StopSignals(self._stop, self._leave)
        outlast_terminal(self._elsewhere)
        group, exit_code = "", 0
        for planned in self.planned:
            run = self.current = runs.create(self.runs_dir)
            group = group or run.id
            code = self._train(replace(planned.request, group=group), run)
            summary = read_summary(run)
            self.done.append((planned, summary))
            self._tell(planned, summary)
            exit_code = exit_code or code
            if self.stopped_by is not None:
                say(f"{len(self.done)} of {len(self.planned)} runs; {last_words(run)}")
                return 128 + self.stopped_by
            if code and self.ends_at_failure:
                break
        return exit_code

    def _train(self, request: "Request", run: RunDirectory) -> int:
        """Train one run to its end, showing how far it is; its exit code."""
        from cnn_engine.launch import Engine  # noqa: PLC0415 - its config takes pydantic
        from cnn_engine.recorder import Recorder  # noqa: PLC0415

        engine = Engine(request, Recorder(run))
        engine.start()
        follow(RunState(), LogReader(run.events), self, lambda _: not engine.is_alive())
        try:
            engine.join()
        except StorageError as error:
            say(str(error))
        return engine.exit_code

    def show(self, event: Event, state: RunState) -> None:  # noqa: ARG002 - as all printers
        """Show how far the run in hand is."""
        which = f"Run {len(self.done) + 1}/{len(self.planned)}"
        self.progress.write(f"{which}  {progress_line(state) if state.prepared else '…'}")

    def _tell(self, planned: Planned, summary: RunSummary) -> None:
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
            ask_to_stop(self.current, number)

    def _leave(self, number: "signal.Signals") -> None:
        os._exit(128 + number)

    def _elsewhere(self) -> Path:
        """Where lines go once the terminal is lost: the run in hand keeps them."""
        if self.current is None:
            os._exit(LOST_CODE)
        return self.current.console


def plan(
    preset: str, settings: Sequence[str], name: str, repeat: int, sweeps: Sequence[str]
) -> list[Planned]:
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
    from cnn_engine.launch import Request  # noqa: PLC0415 - its config takes pydantic

    planned = []
    for values in product(*map(_swept, sweeps)):
        setting = " ".join(values)
        first = Request.of(preset, [*settings, *values]).config.train.seed
        for seed in range(first, first + repeat):
            label = f"{name} {setting} seed {seed}".strip()
            given = [*settings, *values, f"train.seed={seed}"]
            planned.append(Planned(setting, seed, Request.of(preset, given, label)))
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


FIGURES = ("best_val_accuracy", "test_accuracy", "tta_accuracy", "seconds")
"""Of a run's summary, what means are taken of."""


class Spread(NamedTuple):
    """A figure over several runs."""

    mean: float
    deviation: float | None
    """Sample standard deviation; None of a single run."""
    runs: int

    @classmethod
    def of(cls, values: Sequence[float | None]) -> "Spread | None":
        """The spread of what there is; None of nothing."""
        known = [value for value in values if value is not None]
        if not known:
            return None
        return cls(mean(known), stdev(known) if len(known) > 1 else None, len(known))


def spreads(series: Series) -> Iterator[tuple[str, int, dict[str, Spread | None]]]:
    """Each setting, how many runs of it there are, and the spread of each of their figures."""
    for setting in dict.fromkeys(planned.setting for planned, _ in series.done):
        these = [summary for planned, summary in series.done if planned.setting == setting]
        yield (
            setting,
            len(these),
            {name: Spread.of([getattr(each, name) for each in these]) for name in FIGURES},
        )


def as_dict(series: Series) -> dict[str, Any]:
    """The series as plain values."""
    return {
        "runs": [
            {"setting": planned.setting, "seed": planned.seed} | asdict(summary)
            for planned, summary in series.done
        ],
        "settings": [
            {"setting": setting, "runs": count}
            | {name: spread and spread._asdict() for name, spread in found.items()}
            for setting, count, found in spreads(series)
        ],
    }


def print_series(series: Series) -> None:
    """The mean and the standard deviation of each figure, a line a setting."""
    table = Table(box=None, pad_edge=False)
    found = list(spreads(series))
    has_settings = any(setting for setting, _, _ in found)
    has_augmented = any(figures["tta_accuracy"] for _, _, figures in found)
    headings = [
        *(["setting"] if has_settings else []),
        "runs",
        "validation",
        "test",
        *(["test, augmented"] if has_augmented else []),
        "time",
    ]
    for heading in headings:
        table.add_column(heading, justify="left" if heading == "setting" else "right")
    for setting, count, figures in found:
        cells = [
            *([safe_text(setting, 200)] if has_settings else []),
            str(count),
            _spread_text(figures["best_val_accuracy"]),
            _spread_text(figures["test_accuracy"]),
            *([_spread_text(figures["tta_accuracy"])] if has_augmented else []),
            duration(figures["seconds"].mean) if figures["seconds"] else "–",
        ]
        table.add_row(*map(Text, cells))
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 200
    console.print(table)


def _spread_text(spread: Spread | None) -> str:
    """`94.01 ± 0.14 %`."""
    if spread is None:
        return "–"
    deviation = "" if spread.deviation is None else f" ± {100 * spread.deviation:.2f}"
    return f"{100 * spread.mean:.2f}{deviation} %"


def run_series(series: Series, *, as_json: bool) -> int:
    """Train all, and print what came of them; the exit code."""
    exit_code = series.run()
    if as_json:
        print(json.dumps(as_dict(series), indent=2))
    else:
        print_series(series)
    return exit_code
