"""Scores of labels, duplicates and outliers from given numbers."""

import math

import pytest
import torch

from cnn_engine.evaluation.label_scores import area_under_margin, confident_learning
from cnn_engine.evaluation.outliers import outlier_scores
from cnn_engine.results.margins import Margins, MarginsHeader
from cnn_engine.results.predictions import Predictions


def record(rows, classes=3):
    """Return a record of margins in steps of 1/16 asinh: (margin byte, strongest) per image."""
    tensor = torch.tensor(rows)
    size = 2 if classes <= 256 else 3
    columns = [tensor[..., 0], tensor[..., 1] % 256, tensor[..., 1] // 256][:size]
    content = torch.stack(columns, dim=2).byte().numpy().tobytes()
    header = MarginsHeader(images=tensor.shape[1], classes=classes, digest="")
    return Margins(header, content)


def test_area_under_margin_is_the_mean_of_the_recorded_epochs():
    none = [(0, 0)] * 3  # an epoch before the record began
    epochs = [none, [(128, 1), (160, 2), (96, 0)], [(128, 2), (160, 2), (0, 1)]]
    scores = area_under_margin(record(epochs), torch.tensor([0, 1, 2]))
    margin = math.sinh(2)
    expected = [0.5, 1 / (1 + math.exp(margin)), 1 / (1 + math.exp(-margin))]
    assert scores.score.tolist() == pytest.approx(expected)
    assert scores.likely.tolist() == [1, 2, 0]


def test_area_under_margin_of_many_classes_and_in_parts(monkeypatch):
    monkeypatch.setattr("cnn_engine.evaluation.label_scores.CHUNK_VALUES", 4)
    epochs = [[(100 + image, 300 + image) for image in range(7)]] * 3
    scores = area_under_margin(record(epochs, 1000), torch.zeros(7, dtype=torch.int64))
    assert scores.likely.tolist() == [300 + image for image in range(7)]
    assert scores.score.tolist() == sorted(scores.score.tolist(), reverse=True)


def test_area_under_margin_without_a_record_suspects_none():
    labels = torch.tensor([1, 2])
    scores = area_under_margin(record([[(0, 0), (0, 0)]]), labels)
    assert scores.score.tolist() == [0, 0]
    assert scores.likely.tolist() == [1, 2]


def test_confident_learning_compares_with_the_threshold_of_each_class():
    """The model is unsure of class 1: its images are less suspicious with the same margin."""
    predictions = Predictions(
        epoch=1,
        fingerprint="",
        names=list("abcdef"),
        target=[0, 0, 0, 1, 1, 1],
        predicted=[0, 0, 1, 1, 1, 0],
        confidence=[0.99, 0.95, 0.7, 0.6, 0.55, 0.7],
        rank=[1, 1, 2, 1, 1, 2],
        target_confidence=[0.99, 0.95, 0.3, 0.6, 0.55, 0.3],
    )
    scores = confident_learning(predictions, 2)
    order = scores.score.argsort(descending=True).tolist()
    assert order[:2] == [2, 5]
    assert order[-1] == 0
    assert scores.likely.tolist() == predictions.predicted


@pytest.mark.parametrize("products", [1e12, 1])
def test_outliers_are_far_from_all_others(monkeypatch, products):
    """Also if images are compared with a sample only."""
    monkeypatch.setattr("cnn_engine.evaluation.outliers.MAX_PRODUCTS", products)
    monkeypatch.setattr("cnn_engine.evaluation.outliers.MIN_REFERENCES", 100)
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(500, 20, generator=generator) * 0.1
    features[:250, 0] += 1
    features[250:, 1] += 1
    features[123] = 0
    features[123, 7] = 1
    scores = outlier_scores(features)
    assert scores.argmax() == 123
    assert 0 <= scores.min() <= scores.max() <= 1
    assert outlier_scores(features[:1]).tolist() == [0]


def test_first_quarter_of_the_epochs_is_left_out():
    epochs = [[(200, 1)], [(96, 2)], [(96, 2)], [(96, 2)]]
    scores = area_under_margin(record(epochs), torch.tensor([0]))
    assert scores.score.tolist() == pytest.approx([1 / (1 + math.exp(-math.sinh(2)))])
    assert scores.likely.tolist() == [2]
