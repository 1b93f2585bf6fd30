"""What is mistaken for what, against scikit-learn's word for it."""

import numpy as np
import pytest
import torch
from sklearn.metrics import confusion_matrix as oracle
from sklearn.metrics import precision_score, recall_score

from cnn_engine.batches import Batches
from cnn_engine.confusion import class_qualities, confusion_matrix, most_confused
from cnn_engine.evaluate import evaluate


class Told(torch.nn.Module):
    """Predicts what the images' one pixel says."""

    def __init__(self, classes):
        super().__init__()
        self.classes = classes

    def forward(self, images):
        return torch.nn.functional.one_hot(images.flatten().long(), self.classes).float()


@pytest.fixture
def judged():
    """An evaluation of 2,000 images of 7 classes, of which one is never predicted."""
    generator = np.random.default_rng(5)
    truth, predicted = generator.integers(7, size=2000), generator.integers(6, size=2000)
    batches = Batches(
        images=torch.tensor(predicted, dtype=torch.uint8).view(-1, 1, 1, 1),
        labels=torch.tensor(truth),
        scale=torch.ones(1, 1, 1, 1),
        shift=torch.zeros(1, 1, 1, 1),
    )
    result = evaluate(Told(7), batches, torch.arange(2000), 7, lambda _: None)
    return result, truth, predicted


def test_correct_and_confusion_are_the_whole_matrix(judged):
    result, truth, predicted = judged
    matrix = confusion_matrix(result.correct, result.confusion)
    assert matrix == oracle(truth, predicted, labels=range(7)).tolist()
    assert result.confusion == tuple(sorted(result.confusion))
    assert all(a != b and images > 0 for a, b, images in result.confusion)


def test_precision_and_recall(judged):
    result, truth, predicted = judged
    qualities = class_qualities(result.correct, result.total, result.confusion)
    expected = precision_score(
        truth, predicted, labels=range(7), average=None, zero_division=np.nan
    )
    assert [quality.precision for quality in qualities[:6]] == pytest.approx(expected[:6])
    assert qualities[6].precision is None
    recall = recall_score(truth, predicted, labels=range(7), average=None)
    assert [quality.recall for quality in qualities] == pytest.approx(recall)


def test_the_most_confused_pairs_come_first():
    confusion = ((0, 1, 3), (0, 2, 9), (1, 0, 9), (2, 0, 1))
    assert most_confused(confusion, 3) == ((0, 2, 9), (1, 0, 9), (0, 1, 3))


def test_pairs_of_classes_there_are_not_are_left_out():
    assert confusion_matrix((1, 2), ((0, 1, 3), (5, 0, 1), (-1, 0, 1))) == [[1, 3], [0, 2]]
