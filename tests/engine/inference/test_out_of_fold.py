"""Suspicious labels by the predictions of all folds of a group."""

from types import SimpleNamespace

import pytest
import torch

from cnn_engine.inference import out_of_fold
from cnn_engine.inference.out_of_fold import NotAllFoldsError, by_folds
from cnn_engine.results.predictions import Predictions
from cnn_engine.runs.directory import RunDirectory


class State(SimpleNamespace):
    def setting(self, key):
        return {"data.folds": self.folds, "data.fold": self.fold}[key]


class Data(SimpleNamespace):
    def name_of(self, index):
        return f"image {index + 1}"


LABELS = [0, 1, 0, 1, 0, 1]
DATA = Data(
    labels=torch.tensor(LABELS),
    classes=("a", "b"),
    train=torch.tensor([4, 5, 0, 1]),
    val=torch.tensor([2, 3]),
)


def predictions(images, **changes):
    values = {
        "epoch": 1,
        "fingerprint": "",
        "names": [f"image {image + 1}" for image in images],
        "target": [LABELS[image] for image in images],
        "predicted": [1 if image == 4 else LABELS[image] for image in images],
        "confidence": [0.9 - 0.1 * image for image in images],
        "rank": [1] * len(images),
        "target_confidence": [0.1 if image == 4 else 0.9 - 0.1 * image for image in images],
    }
    return Predictions(**values | changes)


@pytest.fixture
def group(monkeypatch, tmp_path):
    """Return a function that makes a group of runs with these predictions and returns one."""

    def make(*parts, folds=3):
        runs = [RunDirectory(tmp_path / str(fold)) for fold in range(1, len(parts) + 1)]
        states = [
            State(folds=folds, fold=fold, started=SimpleNamespace(group="g"))
            for fold in range(1, len(parts) + 1)
        ]
        monkeypatch.setattr(out_of_fold, "iter_runs", lambda _: iter(runs))
        monkeypatch.setattr(out_of_fold, "read_summary", lambda _: SimpleNamespace(group="g"))
        monkeypatch.setattr(
            out_of_fold, "read_state", lambda run: (states[int(run.path.name) - 1], 0)
        )
        monkeypatch.setattr(
            out_of_fold, "read_validation_predictions", lambda run, _: parts[int(run.path.name) - 1]
        )
        return runs[0], states[0]

    return make


def test_every_image_is_ranked_by_the_run_that_was_not_trained_on_it(group):
    run, state = group(*(predictions(images) for images in ([0, 1], [2, 3], [4, 5])))
    ranking = by_folds(run, state, DATA)
    assert ranking.method == "confident learning on 3 folds"
    assert sorted(image.image for image in ranking.images) == [*range(6)]
    assert (ranking.images[0].image, ranking.images[0].likely) == (4, 1)


def test_other_runs_are_not_folds(group):
    run, state = group(predictions([0, 1]), folds=None)
    assert by_folds(run, state, DATA) is None


@pytest.mark.parametrize(
    ("last", "text"),
    [
        (predictions([4, 5], target_confidence=[]), "2 of 3 folds have predictions"),
        (predictions([4, 5], names=["image 5", "other"]), "other images, labels or marks"),
        (predictions([4, 5], target=[1, 1]), "other images, labels or marks"),
    ],
)
def test_missing_or_other_predictions_are_told(group, last, text):
    run, state = group(predictions([0, 1]), predictions([2, 3]), last)
    with pytest.raises(NotAllFoldsError, match=text):
        by_folds(run, state, DATA)
