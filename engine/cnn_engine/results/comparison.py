"""Several runs side by side: what was set differently, what came of it, whether that is chance."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from cnn_engine.errors import UserError
from cnn_engine.results.mcnemar import Disagreement, adjusted, disagreement
from cnn_engine.results.metrics import Metrics, Rate, metrics_of
from cnn_engine.results.metrics_json import metrics_as_dict, rate_as_dict
from cnn_engine.results.predictions import Predictions, read_predictions
from cnn_engine.runlog.state import RunState
from cnn_engine.runs.directory import RunDirectory
from cnn_engine.runs.summary import RunSummary, read_state, read_summary

CHANCE = 0.05
"""Probability below which a difference is not put down to chance."""


@dataclass(frozen=True, kw_only=True)
class Compared:
    """One of the runs."""

    run: RunDirectory
    state: RunState
    summary: RunSummary
    settings: dict[str, Any]
    """Its config, by dotted keys."""

    figures: Metrics | None
    """Of its test; None where there is none yet."""

    predictions: Predictions | None
    """What it said of each test image; None where that is not known."""

    untold: str
    """Why it is not; empty where it is."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of its classes."""
        return self.state.prepared.classes if self.state.prepared else ()


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """One of the runs against the first."""

    disagreement: Disagreement | None
    """None where they cannot be told apart image by image."""

    p: float
    """Of McNemar's test, adjusted for the number of runs compared; 1 without it."""

    reason: str
    """Why it was left out; empty where it was not."""

    @property
    def differs(self) -> bool:
        """Whether the two differ by more than chance explains."""
        return self.p < CHANCE


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The runs, and what is different among them."""

    runs: tuple[Compared, ...]
    settings: dict[str, tuple[Any, ...]]
    """Keys of the config that not all have alike, each with every run's value; None: not there."""

    classes: dict[str, tuple[Rate | None, ...]]
    """Every class, with how many of its test images each run has right; None: not there."""

    verdicts: tuple[Verdict, ...]
    """Every run but the first against that."""


def compare(runs: Sequence[RunDirectory]) -> Comparison:
    """Read and compare the runs; what one of them lacks is left out and told."""
    compared = tuple(map(_read, runs))
    return Comparison(
        runs=compared,
        settings=differences([of.settings for of in compared]),
        classes=_by_class(compared),
        verdicts=_verdicts(compared),
    )


def as_dict(comparison: Comparison) -> dict[str, Any]:
    """The comparison as plain values, for `--json`."""
    first = comparison.runs[0].run.id
    return {
        "runs": [{**of.summary.as_dict(), "figures": _figures(of.state)} for of in comparison.runs],
        "settings": comparison.settings,
        "classes": [
            {"name": name, "accuracy": [rate and rate_as_dict(rate) for rate in rates]}
            for name, rates in comparison.classes.items()
        ],
        "tests": [
            {"first": first, "second": of.run.id, **_verdict_as_dict(verdict)}
            for of, verdict in zip(comparison.runs[1:], comparison.verdicts, strict=True)
        ],
    }


def _figures(state: RunState) -> dict[str, Any] | None:
    return metrics_as_dict(state.test, state.prepared) if state.test else None


def _verdict_as_dict(verdict: Verdict) -> dict[str, Any]:
    split = verdict.disagreement
    if split is None:
        return {"only_first": None, "only_second": None, "p": None, "reason": verdict.reason}
    return {
        **split._asdict(),
        "p": split.p,
        "p_adjusted": verdict.p,
        "differs": verdict.differs,
    }


def _read(run: RunDirectory) -> Compared:
    state, _ = read_state(run)
    predictions, untold = None, "has not been tested"
    if state.test is not None:
        try:
            predictions, untold = read_predictions(run, state.test), ""
        except UserError as error:
            untold = str(error)
    return Compared(
        run=run,
        state=state,
        summary=read_summary(run),
        settings=settings_of(state.config),
        figures=metrics_of(state.test, state.prepared) if state.test else None,
        predictions=predictions,
        untold=untold,
    )


def settings_of(config: dict[str, Any]) -> dict[str, Any]:
    """A config by dotted keys."""
    return dict(_flattened(config))


def differences(settings: Sequence[dict[str, Any]]) -> dict[str, tuple[Any, ...]]:
    """Keys that not all configs have alike, each with every config's value; None: not there."""
    keys = dict.fromkeys(key for each in settings for key in each)
    rows = {key: tuple(each.get(key) for each in settings) for key in keys}
    return {key: row for key, row in rows.items() if any(value != row[0] for value in row)}


def _flattened(table: dict[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flattened(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def _by_class(runs: tuple[Compared, ...]) -> dict[str, tuple[Rate | None, ...]]:
    rates = [
        dict(zip(of.classes, (each.accuracy for each in of.figures.classes), strict=False))
        if of.figures
        else {}
        for of in runs
    ]
    names = dict.fromkeys(name for each in rates for name in each)
    return {name: tuple(each.get(name) for each in rates) for name in names}


def _verdicts(runs: tuple[Compared, ...]) -> tuple[Verdict, ...]:
    first, *others = runs
    splits = [_split(first, other) for other in others]
    found = [split for split in splits if isinstance(split, Disagreement)]
    chances = iter(adjusted([split.p for split in found]))
    return tuple(
        Verdict(disagreement=split, p=next(chances), reason="")
        if isinstance(split, Disagreement)
        else Verdict(disagreement=None, p=1.0, reason=split)
        for split in splits
    )


def _split(first: Compared, other: Compared) -> Disagreement | str:
    """How they disagree, or why that cannot be told."""
    mine, theirs = first.predictions, other.predictions
    if mine is None:
        return f"{first.run.id}: {first.untold}"
    if theirs is None:
        return f"{other.run.id}: {other.untold}"
    if not _are_of_the_same_images(first, other):
        return f"{other.run.id}: was tested on other images than {first.run.id}"
    return disagreement(mine.is_right, theirs.is_right)


def _are_of_the_same_images(first: Compared, other: Compared) -> bool:
    """Whether they were tested on the same pixels, or the same files brought to other sizes."""
    mine, theirs = first.predictions, other.predictions
    if mine is None or theirs is None or mine.truth != theirs.truth:
        return False
    if mine.fingerprint == theirs.fingerprint:
        return True
    before, after = first.state.prepared, other.state.prepared
    if before is None or after is None or before.image_shape == after.image_shape:
        return False
    files = (before.source, before.classes, mine.names)
    return files == (after.source, after.classes, theirs.names)
