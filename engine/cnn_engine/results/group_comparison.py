"""Comparison of series: means with deviations, and tests of their differences where valid."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from cnn_engine.errors import UserError
from cnn_engine.results.comparison import (
    SIGNIFICANCE_LEVEL,
    compared_settings,
    config_differences,
)
from cnn_engine.results.mcnemar import count_disagreements, holm_adjusted
from cnn_engine.results.out_of_fold import fold_of, out_of_fold_predictions
from cnn_engine.results.student import welch_p_value
from cnn_engine.runlog.state import RunState
from cnn_engine.runs.directory import RunDirectory
from cnn_engine.runs.groups import RunGroup, Setting, Spread, setting_as_dict
from cnn_engine.runs.summary import RunSummary, read_state, read_summary

WELCH = "Welch's t-test of the test accuracies"
OUT_OF_FOLD = "McNemar's exact test of the predictions out of fold"


class RunSet(NamedTuple):
    """One side of a comparison: a run, or the runs of a setting of a series."""

    name: str
    runs: tuple[RunDirectory, ...]
    group: str = ""
    """Id of the series; empty for a run by itself."""


def sets_of_group(group: RunGroup, runs: Sequence[RunDirectory]) -> list[RunSet]:
    """Return a set for each setting of a series: a mean over different ones would tell nothing.

    Args:
        group: The series.
        runs: The directories of its runs, in the same order.
    """
    by_id = {run.id: run for run in runs}
    name = group.name or group.id
    return [
        RunSet(
            f"{name} {setting.text}".strip(),
            tuple(by_id[run.run_id] for run in setting.runs),
            group.id,
        )
        for setting in group.settings
    ]


@dataclass(frozen=True, kw_only=True)
class SetResults:
    """A compared set with the states and summaries of its runs."""

    of: RunSet
    states: tuple[RunState, ...]
    summaries: tuple[RunSummary, ...]

    @property
    def setting(self) -> Setting:
        """The runs as a setting, which has the spreads."""
        return Setting(self.of.name, self.summaries)

    def class_accuracy(self, name: str) -> Spread | None:
        """Return the spread of the test accuracy of a class; None before the test."""
        return Spread.from_values(_class_accuracies(state).get(name) for state in self.states)


@dataclass(frozen=True, kw_only=True)
class SetVerdict:
    """Significance test of a set against the first one."""

    test: str
    """The test; empty without one."""

    counts: tuple[int, int]
    """Number of runs that were tested of the first and of the other set."""

    difference: float | None
    """Mean test accuracy of the other set minus that of the first; None if one is unknown."""

    p_value: float | None
    """P-value, adjusted for the number of sets compared; None without a test."""

    reason: str
    """Reason why there is no test; empty otherwise."""

    @property
    def is_significant(self) -> bool:
        """True if the sets differ by more than chance explains."""
        return self.p_value is not None and self.p_value < SIGNIFICANCE_LEVEL


@dataclass(frozen=True, kw_only=True)
class SetComparison:
    """Several sets and their differences."""

    sets: tuple[SetResults, ...]
    config_differences: dict[str, tuple[Any, ...]]
    """Config keys whose values differ between sets; a list if they differ within a set."""

    classes: tuple[str, ...]
    verdicts: tuple[SetVerdict, ...]
    """Significance tests of all other sets against the first."""


def compare_sets(sets: Sequence[RunSet]) -> SetComparison:
    """Read and compare sets; missing results become a `reason` in the verdicts."""
    results = tuple(
        SetResults(
            of=each,
            states=tuple(read_state(run)[0] for run in each.runs),
            summaries=tuple(map(read_summary, each.runs)),
        )
        for each in sets
    )
    return SetComparison(
        sets=results,
        config_differences=config_differences([merged_settings(each.states) for each in results]),
        classes=tuple(dict.fromkeys(name for each in results for name in each.states[0].classes)),
        verdicts=_verdicts(results),
    )


def merged_settings(states: Sequence[RunState]) -> dict[str, Any]:
    """Return the settings of several runs as one; a list of the values where they differ."""
    configs = [compared_settings(state) for state in states]
    keys = dict.fromkeys(key for config in configs for key in config)
    merged = {}
    for key in keys:
        values = list[Any]()
        for config in configs:
            if config.get(key) not in values:
                values.append(config.get(key))
        merged[key] = values[0] if len(values) == 1 else values
    return merged


def as_dict(comparison: SetComparison) -> dict[str, Any]:
    """Return the comparison as plain values, for `--json`."""
    first, *others = comparison.sets
    return {
        "runs": [
            {
                "name": each.of.name,
                "group": each.of.group,
                "members": [run.id for run in each.of.runs],
                **{
                    key: value
                    for key, value in setting_as_dict(each.setting).items()
                    if key not in ("setting", "runs")
                },
            }
            for each in comparison.sets
        ],
        "settings": comparison.config_differences,
        "classes": [
            {
                "name": name,
                "accuracy": [
                    spread and spread._asdict()
                    for spread in (each.class_accuracy(name) for each in comparison.sets)
                ],
            }
            for name in comparison.classes
        ],
        "tests": [
            {
                "first": first.of.name,
                "second": other.of.name,
                "test": verdict.test or None,
                "runs": list(verdict.counts),
                "difference": verdict.difference,
                "p_adjusted": verdict.p_value,
                "differs": verdict.is_significant,
                "reason": verdict.reason,
            }
            for other, verdict in zip(others, comparison.verdicts, strict=True)
        ],
    }


def _class_accuracies(state: RunState) -> dict[str, float]:
    if state.test is None:
        return {}
    rows = zip(state.classes, state.test.correct, state.test.total, strict=False)
    return {name: correct / total for name, correct, total in rows if total}


class _Outcome(NamedTuple):
    """P-value and name of a test, or the reason why there is none."""

    p_value: float | None
    test: str
    reason: str = ""


def _verdicts(sets: tuple[SetResults, ...]) -> tuple[SetVerdict, ...]:
    first, *others = sets
    outcomes = [_test(first, other) for other in others]
    known = [outcome.p_value for outcome in outcomes if outcome.p_value is not None]
    adjusted = iter(holm_adjusted(known))
    return tuple(
        SetVerdict(
            test=outcome.test,
            counts=(len(_accuracies(first)), len(_accuracies(other))),
            difference=_difference(first, other),
            p_value=None if outcome.p_value is None else next(adjusted),
            reason=outcome.reason,
        )
        for other, outcome in zip(others, outcomes, strict=True)
    )


def _accuracies(results: SetResults) -> list[float]:
    return [run.test_accuracy for run in results.summaries if run.test_accuracy is not None]


def _difference(first: SetResults, other: SetResults) -> float | None:
    spreads = [Spread.from_values(_accuracies(each)) for each in (first, other)]
    if spreads[0] is None or spreads[1] is None:
        return None
    return spreads[1].mean - spreads[0].mean


def _test(first: SetResults, other: SetResults) -> _Outcome:
    """Return the result of the test that is valid for two sets.

    Runs with different seeds are independent, so that their means are compared. Folds are not, as
    they share most of their training images; the predictions out of fold are compared by image.
    """
    have_folds = [any(fold_of(state) for state in each.states) for each in (first, other)]
    if all(have_folds):
        return _test_out_of_fold(first, other)
    if any(have_folds):
        return _Outcome(None, "", "one has folds, whose runs are not independent, the other not")
    values = _accuracies(first), _accuracies(other)
    fewest = min(map(len, values))
    if fewest < 2:
        counts = " and ".join(str(len(each)) for each in values)
        reason = f"a test needs two or more tested runs of each; there are {counts}"
        return _Outcome(None, "", reason)
    states = [*first.states, *other.states]
    fingerprints = {state.test.fingerprint for state in states if state.test}
    if len(fingerprints) > 1:
        return _Outcome(None, "", "they were tested on different images")
    try:
        return _Outcome(welch_p_value(*values), WELCH)
    except ValueError:
        return _Outcome(None, "", "the runs of each have the same test accuracy")


def _test_out_of_fold(first: SetResults, other: SetResults) -> _Outcome:
    try:
        by_image = [
            {
                prediction.name: (prediction.predicted, prediction.target)
                for prediction in out_of_fold_predictions(each.of.runs)
            }
            for each in (first, other)
        ]
    except (OSError, UserError) as error:
        return _Outcome(None, "", str(error))
    names = list(by_image[0])
    if by_image[0].keys() != by_image[1].keys() or any(
        by_image[0][name][1] != by_image[1][name][1] for name in names
    ):
        return _Outcome(None, "", "their folds have different images")
    is_correct = [[found[name][0] == found[name][1] for name in names] for found in by_image]
    return _Outcome(count_disagreements(*is_correct).p_value, OUT_OF_FOLD)
