"""Comparison of several runs: config differences, test metrics and significance tests."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cnn_engine.config.dotted_keys import dotted_keys
from cnn_engine.errors import UserError
from cnn_engine.results.mcnemar import Disagreement, count_disagreements, holm_adjusted
from cnn_engine.results.metrics import Metrics, Rate, metrics_of
from cnn_engine.results.metrics_json import metrics_as_dict, rate_as_dict
from cnn_engine.results.predictions import Predictions, read_predictions
from cnn_engine.runlog.state import RunState
from cnn_engine.runs.directory import RunDirectory
from cnn_engine.runs.summary import RunSummary, read_state, read_summary
from cnn_engine.system.environment_diff import has_other_decoding

SIGNIFICANCE_LEVEL = 0.05
"""A difference with a smaller p-value is significant."""


@dataclass(frozen=True, kw_only=True)
class RunResults:
    """A compared run with its config, metrics and predictions."""

    run: RunDirectory
    state: RunState
    summary: RunSummary
    config: dict[str, Any]
    """Config by dotted keys, and `marks` on the images."""

    metrics: Metrics | None
    """Metrics of the test; None before it."""

    predictions: Predictions | None
    """Predictions for the test images; None if they are not available."""

    predictions_error: str
    """Reason why `predictions` is None; empty otherwise."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the run's classes."""
        return self.state.classes


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Significance test of a run against the first one."""

    disagreement: Disagreement | None
    """None if the runs cannot be compared image by image."""

    p_value: float
    """P-value of McNemar's test, adjusted for the number of runs compared; 1 without a test."""

    reason: str
    """Reason why there is no test; empty otherwise."""

    @property
    def is_significant(self) -> bool:
        """True if the runs differ by more than chance explains."""
        return self.p_value < SIGNIFICANCE_LEVEL


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Several runs and their differences."""

    runs: tuple[RunResults, ...]
    config_differences: dict[str, tuple[Any, ...]]
    """Config keys whose values differ, with every run's value; None if a run has no such key."""

    class_accuracies: dict[str, tuple[Rate | None, ...]]
    """Test accuracy of every run by class name; None if a run has no such class or no test."""

    verdicts: tuple[Verdict, ...]
    """Significance tests of all other runs against the first."""


def compare(runs: Sequence[RunDirectory]) -> Comparison:
    """Read and compare runs; missing results become a `reason` in the verdicts."""
    results = tuple(map(_read, runs))
    return Comparison(
        runs=results,
        config_differences=config_differences([result.config for result in results]),
        class_accuracies=_class_accuracies(results),
        verdicts=_verdicts(results),
    )


def as_dict(comparison: Comparison) -> dict[str, Any]:
    """Return the comparison as plain values, for `--json`."""
    first, *others = comparison.runs
    return {
        "runs": [
            {**result.summary.as_dict(), "figures": _metrics(result.state)}
            for result in comparison.runs
        ],
        "settings": comparison.config_differences,
        "classes": [
            {"name": name, "accuracy": [rate and rate_as_dict(rate) for rate in rates]}
            for name, rates in comparison.class_accuracies.items()
        ],
        "tests": [
            {"first": first.run.id, "second": other.run.id, **_verdict_as_dict(verdict)}
            for other, verdict in zip(others, comparison.verdicts, strict=True)
        ],
    }


def _metrics(state: RunState) -> dict[str, Any] | None:
    return metrics_as_dict(state.test, state.prepared) if state.test else None


def _verdict_as_dict(verdict: Verdict) -> dict[str, Any]:
    disagreement = verdict.disagreement
    if disagreement is None:
        return {"only_first": None, "only_second": None, "p": None, "reason": verdict.reason}
    return {
        **disagreement._asdict(),
        "p": disagreement.p_value,
        "p_adjusted": verdict.p_value,
        "differs": verdict.is_significant,
    }


def _read(run: RunDirectory) -> RunResults:
    state, _ = read_state(run)
    predictions, predictions_error = None, "has not been tested"
    if state.test is not None:
        try:
            predictions, predictions_error = read_predictions(run, state.test), ""
        except UserError as error:
            predictions_error = str(error)
    return RunResults(
        run=run,
        state=state,
        summary=read_summary(run),
        config=compared_settings(state),
        metrics=metrics_of(state.test, state.prepared) if state.test else None,
        predictions=predictions,
        predictions_error=predictions_error,
    )


def compared_settings(state: RunState) -> dict[str, Any]:
    """Return a run's config by dotted keys, and `marks` if it has used marks on its images."""
    marks = state.prepared.environment.get("marks") if state.prepared else None
    return dotted_keys(state.config) | ({"marks": marks} if marks else {})


def config_differences(configs: Sequence[dict[str, Any]]) -> dict[str, tuple[Any, ...]]:
    """Return the keys whose values differ, with every config's value; None if it has no such key.

    Args:
        configs: Configs by dotted keys.
    """
    keys = dict.fromkeys(key for config in configs for key in config)
    values = {key: tuple(config.get(key) for config in configs) for key in keys}
    return {key: row for key, row in values.items() if any(value != row[0] for value in row)}


def _class_accuracies(runs: tuple[RunResults, ...]) -> dict[str, tuple[Rate | None, ...]]:
    by_run = [_accuracy_by_class(result) for result in runs]
    names = dict.fromkeys(name for rates in by_run for name in rates)
    return {name: tuple(rates.get(name) for rates in by_run) for name in names}


def _accuracy_by_class(result: RunResults) -> dict[str, Rate]:
    classes = result.metrics.classes if result.metrics else ()
    return {name: metrics.accuracy for name, metrics in zip(result.classes, classes, strict=False)}


def _verdicts(runs: tuple[RunResults, ...]) -> tuple[Verdict, ...]:
    first, *others = runs
    outcomes = [_disagreement(first, other) for other in others]
    p_values = [outcome.p_value for outcome in outcomes if isinstance(outcome, Disagreement)]
    adjusted = iter(holm_adjusted(p_values))
    return tuple(
        Verdict(disagreement=outcome, p_value=next(adjusted), reason="")
        if isinstance(outcome, Disagreement)
        else Verdict(disagreement=None, p_value=1.0, reason=outcome)
        for outcome in outcomes
    )


def _disagreement(first: RunResults, other: RunResults) -> Disagreement | str:
    """Return the disagreement of two runs, or the reason why it is unknown."""
    if first.predictions is None:
        return f"{first.run.id}: {first.predictions_error}"
    if other.predictions is None:
        return f"{other.run.id}: {other.predictions_error}"
    if _have_same_images(first, other):
        return count_disagreements(first.predictions.is_correct, other.predictions.is_correct)
    marks = first.config.get("marks"), other.config.get("marks")
    if marks[0] != marks[1] and any("test image" in (each or "") for each in marks):
        return (
            f"{other.run.id}: marks drop or relabel other test images than those of "
            f"{first.run.id}; the result would depend on how they were chosen"
        )
    return f"{other.run.id}: was tested on other images than {first.run.id}"


def _have_same_images(first: RunResults, other: RunResults) -> bool:
    """Return True for the same pixels, or the same files at another size or decoded differently."""
    predictions, other_predictions = first.predictions, other.predictions
    if predictions is None or other_predictions is None:
        return False
    if predictions.target != other_predictions.target:
        return False
    if predictions.fingerprint == other_predictions.fingerprint:
        return True
    prepared, other_prepared = first.state.prepared, other.state.prepared
    if (
        prepared is None
        or other_prepared is None
        or (
            prepared.image_shape == other_prepared.image_shape
            and not has_other_decoding(prepared.environment, other_prepared.environment)
        )
    ):
        return False
    files = (prepared.source, prepared.classes, predictions.names)
    return files == (other_prepared.source, other_prepared.classes, other_predictions.names)
