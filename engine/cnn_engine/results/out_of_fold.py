"""Predictions for all images of a cross-validation, each by the run that was not trained on it."""

from collections.abc import Sequence

from cnn_engine.errors import DataError
from cnn_engine.results.metrics import Rate
from cnn_engine.results.predictions import Prediction, read_validation_predictions
from cnn_engine.runlog.state import RunState
from cnn_engine.runs.directory import RunDirectory
from cnn_engine.runs.series import runs_of_series
from cnn_engine.runs.summary import read_state


def fold_of(state: RunState) -> tuple[int, int] | None:
    """Return the fold that a run validates, from 1, and the number of folds; None without folds."""
    fold, folds = state.setting("data.fold"), state.setting("data.folds")
    if isinstance(fold, int) and isinstance(folds, int):
        return fold, folds
    return None


def runs_of_folds(run: RunDirectory) -> list[RunDirectory]:
    """Return the runs of the same series that differ in their fold only, with the run itself."""
    return runs_of_series(run, {"data.fold"})


def out_of_fold_predictions(runs: Sequence[RunDirectory]) -> list[Prediction]:
    """Return the validation predictions of the runs of all folds, one for each image.

    Args:
        runs: One run per fold, of the same images.

    Raises:
        DataError: a fold is missing or twice, or predictions are missing or damaged.
        ConfigError: a newer version of cnn-tui wrote a file.
    """
    states = [read_state(run)[0] for run in runs]
    _check_folds([fold_of(state) for state in states])
    predictions = [
        prediction
        for run, state in zip(runs, states, strict=True)
        for prediction in read_validation_predictions(run, state)
    ]
    if len({prediction.name for prediction in predictions}) < len(predictions):
        raise DataError("the runs validated some images twice: they had not the same folds")
    return predictions


def _check_folds(folds: Sequence[tuple[int, int] | None]) -> None:
    """Raise DataError unless there is one run for each fold."""
    count = max((fold[1] for fold in folds if fold), default=0)
    expected = [(number, count) for number in range(1, count + 1)]
    if not count or sorted(fold or (0, 0) for fold in folds) != expected:
        found = ", ".join(str(fold[0]) for fold in folds if fold) or "none"
        raise DataError(f"there is not one run for each of {count} folds, but for: {found}")


def accuracy_of(predictions: Sequence[Prediction]) -> Rate:
    """Return the number of correct predictions out of all."""
    correct = sum(prediction.predicted == prediction.target for prediction in predictions)
    return Rate(correct, len(predictions))
