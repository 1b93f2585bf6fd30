"""Finds images of a run with suspicious labels, near-duplicates with other labels, and outliers."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from cnn_engine.checkpoints.compat import check_images
from cnn_engine.data.dataset import DataSet
from cnn_engine.data.loader import TensorLoader, make_loader
from cnn_engine.data.marks import FILE_SOURCES, Marks, read_marks
from cnn_engine.evaluation.conflicting_duplicates import conflicting_duplicates
from cnn_engine.evaluation.outliers import outlier_scores, penultimate_features
from cnn_engine.evaluation.pictures import Explain
from cnn_engine.evaluation.suspects import (
    NoMarginsError,
    RankedImage,
    Ranking,
    by_label,
    pictured_suspects,
)
from cnn_engine.inference.group_margins import group_margins
from cnn_engine.inference.run_images import load_run_images
from cnn_engine.inference.trained import TrainedModel, load_trained_model
from cnn_engine.inspection.heatmaps import explain_images
from cnn_engine.progress import Progress
from cnn_engine.results.heatmap import Heatmap
from cnn_engine.results.suspects import SuspectRow, Suspects
from cnn_engine.runlog.state import RunState
from cnn_engine.runs.directory import RunDirectory
from cnn_engine.runs.summary import read_state


@dataclass(frozen=True, kw_only=True)
class FoundSuspects:
    """All images of a run, by suspicion."""

    data: DataSet
    """The images."""

    rankings: list[Ranking]
    """Of each kind that could be computed, in the order of `KINDS`."""

    marks: Marks
    """The user's marks on the images now."""

    explain: Explain
    """Makes heatmaps of images."""

    notices: list[str]
    """Rankings that could not be computed, and why."""

    def rows(self) -> list[SuspectRow]:
        """Return all images of all rankings."""
        data = self.data
        labels = data.labels.tolist()
        rows = []
        for ranking in self.rankings:
            for rank, image in enumerate(ranking.images, start=1):
                name = data.name_of(image.image)
                mark = self.marks.get(name)
                rows.append(
                    SuspectRow(
                        kind=image.kind,
                        rank=rank,
                        path=name,
                        given=data.classes[labels[image.image]],
                        likely="" if image.kind == "outlier" else data.classes[image.likely],
                        score=image.score,
                        other=image.other,
                        mark=mark.mark if mark else "",
                    )
                )
        return rows

    def pictured(self) -> Suspects:
        """Return the most suspicious images that the user has not marked, with pictures."""
        return pictured_suspects(self.data, self.rankings, self.marks, self.explain)


def find_suspects(
    run: RunDirectory, path: str | None, progress: Progress, *, allow_code: bool = False
) -> FoundSuspects:
    """Rank the images that a run was trained and validated on; test images are left out.

    Args:
        run: The run.
        path: Directory of the images; None to use the one that it was trained with.
        progress: Called with a label, the number done and the total; may raise to stop.
        allow_code: Import the network if it is the user's own code.

    Raises:
        ConfigError: there is no model yet, its weights do not fit the config, or it is code that
            is not allowed.
        DataError: the checkpoint is damaged, or the images are missing or have changed.
        StorageError: a file cannot be read.
    """
    state, _ = read_state(run)
    trained = load_trained_model(run, allow_code=allow_code)
    config = trained.config
    folder = path or config.data.path
    data = load_run_images(run, config, path, progress)
    check_images(state.prepared, data)
    has_marks = config.data.source in FILE_SOURCES and folder is not None
    loader = make_loader(trained.device, data, config.data.mean, config.data.std)
    notices: list[str] = []

    def explain(indices: Tensor, classes: Tensor) -> Sequence[Heatmap | None]:
        ignore = lambda: None  # noqa: E731
        with trained.autocast():
            return explain_images(trained.model, loader, notices.append, ignore, indices, classes)

    found = FoundSuspects(
        data=data,
        rankings=[],
        marks=read_marks(Path(folder or "")) if has_marks else {},
        explain=explain,
        notices=notices,
    )
    labels = _by_label(run, state, found, path, progress)
    indices = torch.cat([data.train, data.val])
    progress("comparing images", 0, len(indices))
    found.rankings.append(_by_duplicate(data, indices, labels))
    outliers = _by_distance(trained, data, loader, indices, progress)
    if outliers is not None:
        found.rankings.append(outliers)
    else:
        found.notices.append("outliers are not found: the model has no last layer")
    return found


def _by_label(
    run: RunDirectory,
    state: RunState,
    found: FoundSuspects,
    path: str | None,
    progress: Progress,
) -> list[RankedImage]:
    """Add the images by the suspicion of their labels, and return them; none without a record.

    Raises:
        DataError: the images have changed, or the record is damaged.
    """
    data = found.data
    try:
        margins, notices = group_margins(run, state, data, path, progress)
    except NoMarginsError as error:
        found.notices.append(f"labels are not ranked: {error}")
        return []
    found.notices.extend(notices)
    if margins.label_errors:
        found.notices.append(
            f"about {margins.label_errors:,} of {margins.held_out:,} labels of images that were "
            "not trained on are wrong, estimated by confident learning; with a weak model the "
            "estimate is too high"
        )
    ranking = by_label(margins.margins, margins.method)
    found.rankings.append(ranking)
    return ranking.images


def _by_duplicate(data: DataSet, indices: Tensor, labels: list[RankedImage]) -> Ranking:
    """Return the images with a near-duplicate of another label, the closest pairs first.

    Of a pair, it is the image whose label is more suspicious; each image appears once.

    Args:
        data: The images.
        indices: Images to compare, int64 [M].
        labels: Images by the suspicion of their labels; may be empty.
    """
    suspicion = {image.image: image.score for image in labels}
    found: dict[int, RankedImage] = {}
    for first, second, correlation in conflicting_duplicates(data, indices):
        image, other = first, second
        if suspicion.get(second, 0.0) > suspicion.get(first, 0.0):
            image, other = second, first
        ranked = RankedImage(
            kind="duplicate",
            image=image,
            likely=int(data.labels[other]),
            score=min(1.0, max(0.0, correlation)),
            other=data.name_of(other),
        )
        found.setdefault(image, ranked)
    return Ranking("near-duplicates with other labels", list(found.values()))


def _by_distance(
    trained: TrainedModel,
    data: DataSet,
    loader: TensorLoader,
    indices: Tensor,
    progress: Progress,
) -> Ranking | None:
    """Return the images by the distance of their features; None if the model has no last layer.

    Args:
        trained: The model.
        data: The images.
        loader: The same, on the model's device.
        indices: Images to rank, int64 [M].
        progress: Called with the progress; may raise to stop.
    """
    count = len(indices)
    with trained.autocast():
        features = penultimate_features(
            trained.model,
            loader,
            indices,
            lambda done: progress("computing features", done, count),
        )
    if features is None:
        return None
    scores = outlier_scores(features)
    order = scores.argsort(descending=True, stable=True)
    rows = zip(indices[order].tolist(), scores[order].tolist(), strict=True)
    images = [
        RankedImage("outlier", image, int(data.labels[image]), score) for image, score in rows
    ]
    return Ranking(f"distance to neighbours by the features of epoch {trained.epoch}", images)
