"""Ranks the images of a data set by how suspicious their labels are, and saves the first ones."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from cnn_engine.data.dataset import DataSet
from cnn_engine.errors import DataError
from cnn_engine.evaluation.label_scores import (
    LabelMargins,
    area_under_margin,
    count_label_errors,
    held_out_margins,
    mean_margins,
)
from cnn_engine.evaluation.pictures import Explain, picture_bytes, picture_fields, without_heatmaps
from cnn_engine.results.margins import MARGINS_FILE, read_margins
from cnn_engine.results.pictures import max_pictures
from cnn_engine.results.predictions import (
    VALIDATION_FILE,
    Predictions,
    read_validation_predictions,
)
from cnn_engine.results.suspects import (
    KINDS,
    MAX_SUSPECTS,
    Kind,
    Suspect,
    Suspects,
)
from cnn_engine.runlog.state import RunState
from cnn_engine.runs.directory import RunDirectory


class RankedImage(NamedTuple):
    """An image with its suspicion; see `Suspect`."""

    kind: Kind
    image: int
    """Index in the data set."""

    likely: int
    score: float
    other: str = ""


class NoMarginsError(DataError):
    """A run has no record of margins."""


class RunMargins(NamedTuple):
    """Margins of the images of a run."""

    margins: LabelMargins

    method: str
    """Their origin, a phrase."""

    label_errors: int
    """Estimated number of wrong labels among the validation images; 0 without any."""

    held_out: int
    """Number of these validation images."""


class Ranking(NamedTuple):
    """Images by suspicion."""

    method: str
    """A phrase."""

    images: list[RankedImage]
    """The most suspicious first."""


def label_margins(run: RunDirectory, state: RunState, data: DataSet) -> RunMargins:
    """Return the margins of a run: of its training images, and of those it was validated on.

    Args:
        run: The run.
        state: Its state.
        data: Its images.

    Raises:
        NoMarginsError: neither is known.
        DataError: the record is damaged, or the images have changed.
        ConfigError: a newer version of cnn-tui wrote it.
    """
    parts, phrases = list[LabelMargins](), list[str]()
    if (run.path / MARGINS_FILE).exists():
        margins, count = _training_margins(run, data, len(state.epochs))
        parts.append(margins)
        phrases.append(f"area under the margin over {count:,} epoch{'s' * (count != 1)}")
    if predictions := _validation_predictions(run, state, data):
        parts.append(held_out_margins(predictions, data.val))
        phrases.append("predictions for the validation images")
    if not parts:
        raise NoMarginsError(
            f"run {run.id} has no {MARGINS_FILE}; an older version, or train.record_margins = "
            "false, trained it"
        )
    estimate = count_label_errors(predictions, len(data.classes)) if predictions else 0
    held_out = len(predictions.names) if predictions else 0
    return RunMargins(mean_margins(parts), " and ".join(phrases), estimate, held_out)


def _training_margins(run: RunDirectory, data: DataSet, epochs: int) -> tuple[LabelMargins, int]:
    """Return the margins of the training images, and the number of epochs recorded."""
    path = run.path / MARGINS_FILE
    margins = read_margins(path, epochs)
    header = margins.header
    if (header.images, header.digest) != (len(data.train), data.train_digest()):
        raise DataError(_changed_text(data, path))
    count = len(margins.records) // header.record_bytes
    return area_under_margin(margins, data.train, data.labels[data.train]), count


def _validation_predictions(
    run: RunDirectory, state: RunState, data: DataSet
) -> Predictions | None:
    """Return the predictions for the validation images; None if they are not known."""
    try:
        predictions = read_validation_predictions(run, state)
    except DataError:  # an older version, or no validation that the log has
        return None
    if not predictions.target_confidence:
        return None
    names = list(map(data.name_of, data.val.tolist()))
    if (predictions.names, predictions.target) != (names, data.labels[data.val].tolist()):
        raise DataError(_changed_text(data, run.path / VALIDATION_FILE))
    return predictions


def _changed_text(data: DataSet, path: Path) -> str:
    return (
        f"{data.source}: the images or labels have changed since {path} was recorded; restore "
        "them, or train again"
    )


def by_label(margins: LabelMargins, method: str) -> Ranking:
    """Return images by the suspicion of their labels.

    The score is the logistic function of the negated margin: the probability of the rival if there
    were only these two classes; ½ without a margin.
    """
    scores = (-margins.margin).sigmoid().nan_to_num(0.5)
    order = scores.argsort(descending=True, stable=True)
    columns = (column[order].tolist() for column in (margins.images, margins.rival, scores))
    images = [RankedImage("label", *row) for row in zip(*columns, strict=True)]
    return Ranking(method, images)


def pictured_suspects(
    data: DataSet,
    rankings: Sequence[Ranking],
    omitted: Collection[str] = (),
    explain: Explain = without_heatmaps,
) -> Suspects:
    """Return the most suspicious images of each ranking, with their pictures.

    Args:
        data: The images.
        rankings: Each of one kind.
        omitted: Names of images that are left out, because the user has marked them.
        explain: Makes heatmaps of the likelier classes.
    """
    images = [image for ranking in rankings for image in ranking.images]
    unmarked = (image for image in images if data.name_of(image.image) not in omitted)
    shown = _first(unmarked, max_pictures(picture_bytes(data), MAX_SUSPECTS))
    columns = ([image.image for image in shown], [image.likely for image in shown])
    heatmaps = explain(*map(torch.tensor, columns)) if shown else ()
    return Suspects(
        method="; ".join(ranking.method for ranking in rankings),
        classes=list(data.classes),
        suspects=[
            Suspect(
                kind=image.kind,
                name=data.name_of(image.image),
                label=int(data.labels[image.image]),
                likely=image.likely,
                score=image.score,
                other=image.other,
                heatmap=heatmap,
                **picture_fields(data, image.image),
            )
            for image, heatmap in zip(shown, heatmaps, strict=True)
        ],
    )


def _first(images: Iterable[RankedImage], count: int) -> list[RankedImage]:
    """Return the first images of each kind: half of `count` labels, and more if others are few."""
    by_kind: dict[Kind, list[RankedImage]] = defaultdict(list)
    for image in images:
        if len(by_kind[image.kind]) < count:
            by_kind[image.kind].append(image)
    labels, *others = (by_kind[kind] for kind in KINDS)
    others = [kind[: max(count // 4, (count - len(labels)) // len(others))] for kind in others]
    return [*labels[: count - sum(map(len, others))], *(image for kind in others for image in kind)]
