"""Runs of a series as one: what differs between them, means and deviations, status."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from statistics import mean, stdev
from typing import Any, Literal, NamedTuple, TypeAlias

from cnn_engine.config.dotted_keys import dotted_keys
from cnn_engine.runs.directory import RunDirectory
from cnn_engine.runs.series import is_trained, runs_of_group
from cnn_engine.runs.summary import LIVE, RunStatus, RunSummary, read_summary

METRICS = ("best_val_loss", "best_val_accuracy", "test_accuracy", "tta_accuracy", "seconds")
"""Fields of a run's summary that are averaged."""

LOWER_IS_BETTER = frozenset({"best_val_loss", "test_loss", "seconds"})

GroupStatus: TypeAlias = Literal["running", "queued", "done", "incomplete"]

NAME_ENDING = re.compile(r"(?:^| )(?:\w+(?:\.\w+)+=.*)?(?:^| )?(?:seed \d+|fold \d+/\d+)$")
"""End of the name of each run of a series, after the name of the series."""


KEY_AND_VALUE = re.compile(r"(\w+(?:\.\w+)+)=(.*?)(?= \w+(?:\.\w+)+=|$)")
"""A key and a value in the text of a setting."""


class Spread(NamedTuple):
    """Mean and standard deviation of a metric."""

    mean: float
    deviation: float | None
    """Sample standard deviation; None for a single run."""
    runs: int

    @classmethod
    def from_values(cls, values: Iterable[float | None]) -> "Spread | None":
        """Return the spread of the known values; None if there are none."""
        known = [value for value in values if value is not None]
        if not known:
            return None
        return cls(mean(known), stdev(known) if len(known) > 1 else None, len(known))


class Setting(NamedTuple):
    """Runs of a series with the same config except for seed and fold."""

    text: str
    """Settings that differ, such as `optimizer.lr=0.003`; empty if nothing else is swept."""

    runs: tuple[RunSummary, ...]

    def spread(self, metric: str) -> Spread | None:
        """Return the spread of a field of the summaries; None if no run has it."""
        return Spread.from_values(getattr(run, metric) for run in self.runs)

    def spreads(self) -> dict[str, Spread | None]:
        """Return the spread of each of `METRICS`."""
        return {metric: self.spread(metric) for metric in METRICS}


@dataclass(frozen=True)
class RunGroup:
    """The runs of a series that have been started."""

    id: str
    """Id of the series, which is usually that of its first run."""

    runs: tuple[RunSummary, ...]
    """In the order of the series; at least one."""

    is_trained: bool = False
    """True while a process trains the series, also between two runs."""

    @property
    def planned(self) -> int:
        """Number of runs, with those that are not started yet."""
        known = max(run.members for run in self.runs)
        folds = max(_value(run, "data", "folds") or 0 for run in self.runs)
        return max(known, len(self.runs), folds)

    @property
    def has_folds(self) -> bool:
        """True if the runs validate the folds of a cross-validation."""
        return any(_value(run, "data", "folds") for run in self.runs)

    @property
    def done(self) -> int:
        """Number of runs that are done."""
        return sum(run.status == "done" for run in self.runs)

    @property
    def status(self) -> GroupStatus:
        """The status of all runs together."""
        if self.is_trained or any(run.status in LIVE for run in self.runs):
            return "running"
        if self.queued is not None:
            return "queued"
        return "done" if self.done == self.planned else "incomplete"

    @property
    def live(self) -> RunSummary | None:
        """The run that is trained now."""
        return next((run for run in self.runs if run.status in LIVE), None)

    @property
    def queued(self) -> RunSummary | None:
        """The run by which the series waits in the queue; None if it does not."""
        return next((run for run in self.runs if run.status == "queued"), None)

    @cached_property
    def name(self) -> str:
        """Name of the series; empty if it has none."""
        name = self.runs[0].name
        cut = series_name(name)
        if cut != name or len(self.runs) == 1:
            return cut
        return name if all(run.name == name for run in self.runs) else ""

    @cached_property
    def settings(self) -> tuple[Setting, ...]:
        """The runs by setting, in the order of the series."""
        texts = [run.setting for run in self.runs]
        if not all(run.members for run in self.runs):
            texts = _differences(self.runs)
        by_text: dict[str, list[RunSummary]] = {}
        for run, text in zip(self.runs, texts, strict=True):
            by_text.setdefault(text, []).append(run)
        return tuple(Setting(text, tuple(runs)) for text, runs in by_text.items())

    @cached_property
    def swept(self) -> str:
        """Differences between the runs: `optimizer.lr 0.001, 0.003; 2 seeds`."""
        values: dict[str, list[str]] = {}
        for setting in self.settings:
            for key, value in KEY_AND_VALUE.findall(setting.text):
                known = values.setdefault(key, [])
                if value not in known:
                    known.append(value)
        parts = [f"{key} {', '.join(found)}" for key, found in values.items()]
        folds = max(_value(run, "data", "folds") or 0 for run in self.runs)
        seeds = {_value(run, "train", "seed") for run in self.runs}
        if folds:
            parts.append(f"{folds} folds")
        elif values and len(seeds) > 1:
            parts.append(f"{len(seeds)} seeds")
        elif not values and (len(seeds) > 1 or self.runs[0].members):
            parts.append(f"{self.planned} seeds")
        return "; ".join(parts)

    def best(self, metric: str) -> Spread | None:
        """Return the spread of the setting with the best mean; None if no run has the metric.

        A mean over different settings would tell nothing.
        """
        spreads = [setting.spread(metric) for setting in self.settings]
        known = [spread for spread in spreads if spread is not None]
        choose = min if metric in LOWER_IS_BETTER else max
        return choose(known, key=lambda spread: spread.mean, default=None)

    @cached_property
    def summary(self) -> RunSummary:
        """Means of the best setting in the form of a run's summary, by which a group is sorted."""
        first = self.runs[0]
        shown = self.live or self.queued
        ends = {run.status for run in self.runs if run.status != "done"}
        status: RunStatus = shown.status if shown else next(iter(sorted(ends)), "done")

        def average(metric: str) -> float | None:
            spread = self.best(metric)
            return spread.mean if spread else None

        return replace(
            first,
            name=self.name,
            status=status,
            queue_position=self.queued.queue_position if self.queued else None,
            seconds=sum(run.seconds for run in self.runs),
            epochs_done=self.done,
            epochs=self.planned,
            best_epoch=None,
            val_losses=(),
            error="",
            setting="",
            star=all(run.star for run in self.runs),
            note="",
            tags=tuple(sorted(set(first.tags).intersection(*(run.tags for run in self.runs)))),
            started=max(run.started for run in self.runs),
            best_val_loss=average("best_val_loss"),
            best_val_accuracy=average("best_val_accuracy"),
            best_val_macro_f1=average("best_val_macro_f1"),
            test_loss=average("test_loss"),
            test_accuracy=average("test_accuracy"),
            tta_accuracy=average("tta_accuracy"),
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the group as plain values, as written by `runs --groups --json`."""
        return {
            "group": self.id,
            "name": self.name,
            "preset": self.runs[0].preset,
            "status": self.status,
            "swept": self.swept,
            "done": self.done,
            "planned": self.planned,
            "started": min(run.started for run in self.runs),
            "seconds": sum(run.seconds for run in self.runs),
            "runs": [run.run_id for run in self.runs],
            "settings": [setting_as_dict(setting) for setting in self.settings],
        }


def setting_as_dict(setting: Setting) -> dict[str, Any]:
    """Return the spreads of a setting as plain values."""
    spreads = {name: spread and spread._asdict() for name, spread in setting.spreads().items()}
    return {"setting": setting.text, "runs": len(setting.runs)} | spreads


def series_name(name: str) -> str:
    """Return the name of a series by the name of one of its runs: `try` for `try seed 0`."""
    return NAME_ENDING.sub("", name)


def read_group(runs_dir: Path, group: str) -> RunGroup | None:
    """Return a series by its id; None if it has no runs."""
    summaries = [read_summary(run) for run in runs_of_group(runs_dir, group)]
    return find_groups(summaries, runs_dir).get(group)


def find_live(runs_dir: Path, group: str) -> RunDirectory | None:
    """Return the run of a series that is trained now; None if none is."""
    found = read_group(runs_dir, group)
    live = found.live if found else None
    return RunDirectory(runs_dir / live.run_id) if live else None


def find_groups(runs: Iterable[RunSummary], runs_dir: Path) -> dict[str, RunGroup]:
    """Return the series of some runs by their ids.

    Args:
        runs: Summaries in any order.
        runs_dir: Their directory, where the locks of series are.
    """
    by_group: dict[str, list[RunSummary]] = {}
    for run in runs:
        if run.group:
            by_group.setdefault(run.group, []).append(run)
    return {
        group: _with_status(
            RunGroup(
                group, tuple(sorted(members, key=lambda run: (run.member, run.started, run.run_id)))
            ),
            runs_dir,
        )
        for group, members in by_group.items()
    }


def _with_status(group: RunGroup, runs_dir: Path) -> RunGroup:
    """Return a group that knows whether it is trained between two of its runs."""
    if group.status == "incomplete" and is_trained(RunDirectory(runs_dir / group.id)):
        return replace(group, is_trained=True)
    return group


def _value(run: RunSummary, table: str, key: str) -> Any:  # noqa: ANN401 - any config value
    return run.config.get(table, {}).get(key)


def _differences(runs: Sequence[RunSummary]) -> list[str]:
    """Return the config keys in which each run differs from others, except for seed and fold."""
    flat = [dotted_keys(run.config) for run in runs]
    keys = dict.fromkeys(key for config in flat for key in config)
    differing = [
        key
        for key in keys
        if not _is_repetition(key) and any(config.get(key) != flat[0].get(key) for config in flat)
    ]
    return [" ".join(f"{key}={_text(config.get(key))}" for key in differing) for config in flat]


def _is_repetition(key: str) -> bool:
    """Return True for a key in which repetitions of a setting differ."""
    return key == "data.fold" or key.rpartition(".")[2] == "seed"


def _text(value: Any) -> str:  # noqa: ANN401 - any config value
    return value if isinstance(value, str) else json.dumps(value)
