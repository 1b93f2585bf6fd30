"""Margins of the labels of a run's images, joined over the runs of its group."""

from typing import Any

import torch

from cnn_engine.config.presets import from_dict
from cnn_engine.data.dataset import DataSet
from cnn_engine.errors import DataError, UserError
from cnn_engine.evaluation.label_scores import mean_margins
from cnn_engine.evaluation.suspects import RunMargins, label_margins
from cnn_engine.inference.run_images import load_run_images
from cnn_engine.progress import Progress
from cnn_engine.runlog.state import RunState
from cnn_engine.runs.directory import RunDirectory
from cnn_engine.runs.series import runs_of_series
from cnn_engine.runs.summary import read_state

SEED_AND_FOLD = {"train.seed", "data.fold"}
"""Keys in which repetitions of a run differ."""


def group_margins(
    run: RunDirectory, state: RunState, data: DataSet, path: str | None, progress: Progress
) -> tuple[RunMargins, list[str]]:
    """Return the margins of a run's images, and texts on other runs of its group not used.

    Folds, and repetitions with other seeds, count too: an image has the mean of its margins in all
    of them. In a group of folds, each image was held out once. Runs of the group with another
    config are left out: a worse one would blur the result.

    Args:
        run: The run.
        state: Its state.
        data: Its images.
        path: Directory that the images were moved to; None if they were not.
        progress: Called with the progress; may raise to stop.

    Raises:
        NoMarginsError: the run has no record.
        DataError: its record is damaged, or the images have changed.
        ConfigError: a newer version of cnn-tui wrote it.
    """
    own, notices = label_margins(run, state, data), list[str]()
    found = [own]
    for other in runs_of_series(run, SEED_AND_FOLD):
        if other.id == run.id:
            continue
        progress("reading the runs of the group", len(found), 0)
        try:
            found.append(_other_margins(other, data, path, progress))
        except UserError as error:
            notices.append(f"run {other.id} of the group is not used: {error}")
    if len(found) == 1:
        return own, notices
    return (
        RunMargins(
            mean_margins([each.margins for each in found]),
            f"{own.method}, the mean of {len(found)} runs",
            sum(each.label_errors for each in found),
            sum(each.held_out for each in found),
        ),
        notices,
    )


def _other_margins(
    run: RunDirectory, data: DataSet, path: str | None, progress: Progress
) -> RunMargins:
    """Return the margins of another run on the same images.

    Raises:
        DataError: it has no record, or other images or labels.
    """
    state, _ = read_state(run)
    tables: dict[str, Any] = {key: state.config[key] for key in ("data", "train")}
    other = load_run_images(run, from_dict(tables), path, progress)
    same_images = other.paths == data.paths and other.images.shape == data.images.shape
    if not same_images or not torch.equal(other.labels, data.labels):
        raise DataError("it has other images, labels or marks")
    return label_margins(run, state, other)
