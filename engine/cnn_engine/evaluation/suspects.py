"""Ranks the images of a data set by how suspicious their labels are, and saves the first ones."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from torch import Tensor

from cnn_engine.data.dataset import DataSet
from cnn_engine.errors import DataError
from cnn_engine.evaluation.label_scores import LabelScores, area_under_margin
from cnn_engine.evaluation.pictures import picture_bytes, picture_fields
from cnn_engine.results.margins import MARGINS_FILE, read_margins
from cnn_engine.results.pictures import max_pictures
from cnn_engine.results.suspects import (
    KINDS,
    MAX_SUSPECTS,
    Kind,
    Suspect,
    Suspects,
)
from cnn_engine.runs.directory import RunDirectory


class RankedImage(NamedTuple):
    """An image with its suspicion; see `Suspect`."""

    kind: Kind
    image: int
    """Index in the data set."""

    likely: int
    score: float
    other: str = ""


class Ranking(NamedTuple):
    """Images by suspicion."""

    method: str
    """A phrase."""

    images: list[RankedImage]
    """The most suspicious first."""


def by_margins(run: RunDirectory, data: DataSet, epochs: int) -> Ranking:
    """Return all training images of a run by their margins in its first `epochs` epochs.

    Raises:
        DataError: there is no record of them, or it is damaged or of other images.
        ConfigError: a newer version of cnn-tui wrote it.
    """
    path = run.path / MARGINS_FILE
    margins = read_margins(path, epochs)
    header = margins.header
    if (header.images, header.digest) != (len(data.train), data.train_digest()):
        raise DataError(
            f"{data.source}: the images or labels have changed since {path} was recorded; restore "
            "them, or train again"
        )
    count = len(margins.records) // header.record_bytes
    method = f"area under the margin over {count:,} epoch{'s' * (count != 1)}"
    scores = area_under_margin(margins, data.labels[data.train])
    return Ranking(method, by_label(data.train, scores))


def by_label(indices: Tensor, scores: LabelScores) -> list[RankedImage]:
    """Return images, indices int64 [N], by the suspicion of their labels."""
    order = scores.score.argsort(descending=True, stable=True)
    columns = (column[order].tolist() for column in (indices, scores.likely, scores.score))
    return [RankedImage("label", *row) for row in zip(*columns, strict=True)]


def pictured_suspects(
    data: DataSet, rankings: Sequence[Ranking], omitted: Collection[str] = ()
) -> Suspects:
    """Return the most suspicious images of each ranking, with their pictures.

    Args:
        data: The images.
        rankings: Each of one kind.
        omitted: Names of images that are left out, because the user has marked them.
    """
    images = [image for ranking in rankings for image in ranking.images]
    unmarked = (image for image in images if data.name_of(image.image) not in omitted)
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
                **picture_fields(data, image.image),
            )
            for image in _first(unmarked, max_pictures(picture_bytes(data), MAX_SUSPECTS))
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
