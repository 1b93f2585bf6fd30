"""Scores of labels, duplicates and outliers from given numbers."""

import math

import msgspec
import pytest
import torch

from cnn_engine.evaluation.label_scores import (
    LabelMargins,
    area_under_margin,
    count_label_errors,
    held_out_margins,
    mean_margins,
)
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
    images = torch.tensor([7, 8, 9])
    found = area_under_margin(record(epochs), images, torch.tensor([0, 1, 2]))
    assert found.images is images
    assert found.margin.tolist() == pytest.approx([0, math.sinh(2), -math.sinh(2)])
    assert found.rival.tolist() == [1, 2, 0]


def test_area_under_margin_of_many_classes_and_in_parts(monkeypatch):
    monkeypatch.setattr("cnn_engine.evaluation.label_scores.CHUNK_VALUES", 4)
    epochs = [[(100 + image, 300 + image) for image in range(7)]] * 3
    images = torch.arange(7)
    found = area_under_margin(record(epochs, 1000), images, torch.zeros_like(images))
    assert found.rival.tolist() == [300 + image for image in range(7)]
    assert found.margin.tolist() == sorted(found.margin.tolist())


def test_area_under_margin_without_a_record_is_unknown():
    labels = torch.tensor([1, 2])
    found = area_under_margin(record([[(0, 0), (0, 0)]]), torch.arange(2), labels)
    assert found.margin.isnan().all()
    assert found.rival.tolist() == [1, 2]


def test_first_quarter_of_the_epochs_is_left_out():
    epochs = [[(200, 1)], [(96, 2)], [(96, 2)], [(96, 2)]]
    found = area_under_margin(record(epochs), torch.tensor([0]), torch.tensor([0]))
    assert found.margin.tolist() == pytest.approx([-math.sinh(2)])
    assert found.rival.tolist() == [2]


HELD_OUT = Predictions(
    epoch=1,
    fingerprint="",
    names=list("abcdef"),
    target=[0, 0, 0, 1, 1, 1],
    predicted=[0, 0, 1, 1, 1, 0],
    confidence=[0.99, 0.4, 0.7, 0.6, 0.55, 0.7],
    rank=[1, 1, 2, 1, 1, 2],
    target_confidence=[0.99, 0.4, 0.2, 0.6, 0.55, 0.0],
)


def test_held_out_margins_are_differences_of_logits():
    logits = torch.tensor([1.5, 0.25, -2.0, 3.0]).double()
    probabilities = logits.softmax(0)
    predictions = Predictions(
        epoch=1, fingerprint="", names=["a"], target=[1], predicted=[3], rank=[3],
        confidence=[probabilities[3].item()], target_confidence=[probabilities[1].item()],
    )  # fmt: skip
    assert held_out_margins(predictions, torch.tensor([4])).margin.item() == pytest.approx(-2.75)
    found = held_out_margins(HELD_OUT, torch.arange(6))
    assert found.margin.argsort().tolist()[:2] == [5, 2]
    assert found.margin[1] == 0  # the rival is as likely as the given class at most
    assert found.margin.isfinite().all()
    assert found.rival.tolist() == HELD_OUT.predicted


def test_label_errors_exceed_the_threshold_of_the_other_class():
    """Class 0 has images of 0.99, 0.4 and 0.2, so 0.7 exceeds its threshold; 0.38 is that of 1."""
    assert count_label_errors(HELD_OUT, 2) == 2
    unsure = msgspec.structs.replace(HELD_OUT, confidence=[0.99, 0.4, 0.7, 0.6, 0.55, 0.5])
    assert count_label_errors(unsure, 2) == 1


def test_margins_of_several_runs_are_averaged():
    nan = math.nan
    parts = [
        LabelMargins(torch.tensor([5, 3]), torch.tensor([1.0, nan]), torch.tensor([1, 2])),
        LabelMargins(
            torch.tensor([3, 5, 9]), torch.tensor([4.0, -2.0, nan]), torch.tensor([0, 2, 1])
        ),
    ]
    mean = mean_margins([part._replace(margin=part.margin.double()) for part in parts])
    assert mean.images.tolist() == [3, 5, 9]
    assert mean.margin[:2].tolist() == [4.0, -0.5]
    assert mean.margin[2].isnan()
    assert mean.rival.tolist() == [0, 2, 1]


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
