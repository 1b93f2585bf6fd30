"""Predictions for all images of a group of folds, each by the run that was not trained on it."""

from collections.abc import Iterator
from typing import Any

import torch

from cnn_engine.data.dataset import DataSet
from cnn_engine.errors import UserError
from cnn_engine.evaluation.label_scores import confident_learning
from cnn_engine.evaluation.suspects import Ranking, by_label
from cnn_engine.results.predictions import Predictions, read_validation_predictions
from cnn_engine.runlog.state import RunState
from cnn_engine.runs.directory import RunDirectory, iter_runs
from cnn_engine.runs.summary import read_state, read_summary


class NotAllFoldsError(Exception):
    """The predictions of some folds are missing or do not fit; the message says why."""


def by_folds(run: RunDirectory, state: RunState, data: DataSet) -> Ranking | None:
    """Return all images of a group of folds by the suspicion of their labels.

    Args:
        run: A run of the group.
        state: Its state.
        data: Its images.

    Returns:
        None if the run is not one of several folds.

    Raises:
        NotAllFoldsError: predictions are missing, or are of other images.
    """
    folds, group = state.setting("data.folds"), state.started.group if state.started else ""
    if not isinstance(folds, int) or not group:
        return None
    found: dict[int, Predictions] = {}
    for fold, predictions in _folds_of_group(run, group, folds):
        found.setdefault(fold, predictions)
    if len(found) < folds:
        raise NotAllFoldsError(
            f"{len(found)} of {folds} folds have predictions for the images that they were not "
            "trained on"
        )
    predictions = _joined([*found.values()])
    index_of = {data.name_of(index): index for index in torch.cat([data.train, data.val]).tolist()}
    labels = data.labels.tolist()
    if any(
        labels[index_of.get(name, -1)] != target or name not in index_of
        for name, target in zip(predictions.names, predictions.target, strict=True)
    ):
        raise NotAllFoldsError("the folds have other images, labels or marks than this run")
    indices = torch.tensor([index_of[name] for name in predictions.names])
    scores = confident_learning(predictions, len(data.classes))
    return Ranking(f"confident learning on {folds} folds", by_label(indices, scores))


def _folds_of_group(run: RunDirectory, group: str, folds: int) -> Iterator[tuple[int, Predictions]]:
    """Yield number and predictions of each fold; of a fold that ran twice, any order."""
    for other in iter_runs(run.path.parent):
        try:
            if read_summary(other).group != group:
                continue
            state, _ = read_state(other)
            fold = state.setting("data.fold")
            if state.setting("data.folds") == folds and isinstance(fold, int):
                predictions = read_validation_predictions(other, state)
                if predictions.target_confidence:
                    yield fold, predictions
        except UserError:  # not validated yet, or damaged: the fold is missing
            continue


def _joined(parts: list[Predictions]) -> Predictions:
    def column(name: str) -> list[Any]:
        return [value for part in parts for value in getattr(part, name)]

    names = ("names", "target", "predicted", "confidence", "rank", "target_confidence")
    columns = {name: column(name) for name in names}
    return Predictions(epoch=parts[0].epoch, fingerprint="", **columns)
