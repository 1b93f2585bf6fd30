"""Metrics, compared with scikit-learn and SciPy."""

import numpy as np
import pytest
import torch
from scipy.stats import binomtest
from sklearn.calibration import calibration_curve
from sklearn.metrics import confusion_matrix as oracle
from sklearn.metrics import (
    f1_score,
    precision_recall_fscore_support,
    precision_score,
    recall_score,
    top_k_accuracy_score,
)

from cnn_engine.data.loader import TensorLoader
from cnn_engine.evaluation.evaluate import evaluate
from cnn_engine.results.metrics import (
    Rate,
    calibration_error,
    class_metrics,
    confusion_matrix,
    metrics_of,
    most_confused,
)
from cnn_engine.runlog import events


class Told(torch.nn.Module):
    """Gives the scores of a table, by the number that an image's two pixels are."""

    def __init__(self, scores):
        super().__init__()
        self.scores = scores

    def forward(self, images):
        pixels = images.flatten(1).long()
        return self.scores[pixels[:, 0] * 256 + pixels[:, 1]]


def evaluated(scores, truth):
    """The evaluation of a model that gives these scores [n, classes] for these images."""
    numbers = torch.arange(len(truth))
    pixels = torch.stack([numbers // 256, numbers % 256], dim=1).to(torch.uint8)
    batches = TensorLoader(
        images=pixels.view(-1, 1, 2, 1),
        labels=torch.tensor(truth),
        scale=torch.ones(2),
        shift=torch.zeros(2),
        device=torch.device("cpu"),
    )
    scores = torch.tensor(scores, dtype=torch.float32)
    return evaluate(Told(scores), batches, numbers, scores.shape[1], lambda _: None)


def figures(result, train_counts=()):
    """Return the metrics, computed from the events of a log."""
    names = ("correct", "total", "confusion", "top5", "bins")
    counts = {name: getattr(result, name) for name in names}
    test = events.TestFinished(epoch=1, loss=result.loss, seconds=1.0, **counts)
    prepared = events.RunPrepared(
        classes=tuple(map(str, range(len(result.total)))),
        source="",
        image_shape=(1, 1, 2),
        train_images=sum(train_counts),
        val_images=1,
        test_images=sum(result.total),
        steps_per_epoch=1,
        parameters=1,
        device="cpu",
        device_name="",
        threads=1,
        precision="fp32",
        train_counts=train_counts,
    )
    return metrics_of(test, prepared)


def case(classes, images, of=None, called=None):
    """Random scores for random images, of some of the classes, called some of them."""
    generator = np.random.default_rng(classes * images)
    truth = generator.choice(list(of or range(classes)), size=images)
    scores = generator.normal(size=(images, classes)) * 2
    scores[np.arange(images), truth] += 1
    for never in set(range(classes)) - set(called or range(classes)):
        scores[:, never] = -50 + generator.normal(size=images)
    return scores.astype(np.float32), truth


CASES = {
    "many": case(12, 3000),
    "two classes": case(2, 500),
    "a class never called": case(7, 900, called=range(6)),
    "a class without images": case(7, 900, of=range(6)),
    "a class that is nowhere": case(7, 900, of=range(6), called=range(6)),
    "all called one": case(5, 300, called=[2]),
    "one class": case(1, 40),
    "one image": case(4, 1),
    "none right": (np.eye(3)[[1, 2, 0]] * 9 + np.eye(3)[[2, 0, 1]], np.array([0, 1, 2])),
    "all right": (np.eye(3)[[0, 1, 2]] * 9, np.array([0, 1, 2])),
}


@pytest.fixture(params=CASES.values(), ids=CASES.keys())
def judged(request):
    """Scores, truth, predictions and the evaluation."""
    scores, truth = request.param
    return scores, truth, scores.argmax(axis=1), evaluated(scores, truth)


@pytest.mark.filterwarnings("ignore:A single label")
def test_counts_are_the_whole_matrix(judged):
    scores, truth, predicted, result = judged
    matrix = confusion_matrix(result.correct, result.confusion)
    assert matrix == oracle(truth, predicted, labels=range(scores.shape[1])).tolist()
    assert result.confusion == tuple(sorted(result.confusion))
    assert all(a != b and images > 0 for a, b, images in result.confusion)


def test_precision_recall_and_f1_of_each_class(judged):
    scores, truth, predicted, result = judged
    mine = class_metrics(result.correct, result.total, result.confusion)
    options = {"labels": range(scores.shape[1]), "average": None, "zero_division": np.nan}
    for score, name in ((precision_score, "precision"), (recall_score, "recall"), (f1_score, "f1")):
        theirs = score(truth, predicted, **options)
        expected = [None if np.isnan(value) else value for value in theirs]
        assert [getattr(of, name) for of in mine] == pytest.approx(expected), name


def test_macro_averages(judged):
    _, truth, predicted, result = judged
    mine = figures(result)
    *expected, _ = precision_recall_fscore_support(
        truth, predicted, average="macro", zero_division=0
    )
    assert [mine.macro.precision, mine.macro.recall, mine.macro.f1] == pytest.approx(expected)


def test_intervals(judged):
    *_, result = judged
    mine = figures(result)
    for rate in (mine.accuracy, *(of.accuracy for of in mine.classes)):
        if not rate.images:
            assert rate.fraction is rate.interval is None
            continue
        expected = binomtest(rate.correct, rate.images).proportion_ci(0.95, method="wilson")
        assert rate.interval == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_calibration(judged):
    scores, truth, predicted, result = judged
    confidence = torch.tensor(scores).double().softmax(dim=1).numpy().max(axis=1)
    edges = np.linspace(0, 1, 11)
    if len(truth) > 1:
        right = (predicted == truth).astype(int)
        if right.min() != right.max():  # which scikit-learn does not take
            shares, means = calibration_curve(right, confidence.clip(0, 1), n_bins=10)
            filled = [row for row in result.bins if row[0]]
            assert [row[1] / row[0] for row in filled] == pytest.approx(shares)
            assert [row[2] / row[0] for row in filled] == pytest.approx(means, rel=1e-5)
    bins = np.searchsorted(edges[1:-1], confidence)
    error = sum(
        np.mean(bins == each)
        * abs(np.mean((predicted == truth)[bins == each]) - np.mean(confidence[bins == each]))
        for each in set(bins)
    )
    assert calibration_error(result.bins) == pytest.approx(error, abs=1e-6)


def test_top5(judged):
    scores, truth, _, result = judged
    if scores.shape[1] < 10:
        assert result.top5 is None
        return
    expected = top_k_accuracy_score(truth, scores, k=5, labels=range(scores.shape[1]))
    assert figures(result).top5.fraction == pytest.approx(expected)


def test_ranks_agree_with_the_answers(judged):
    scores, truth, predicted, result = judged
    answers = result.answers
    assert answers.truth.tolist() == truth.tolist()
    assert answers.predicted.tolist() == predicted.tolist()
    mine = scores[np.arange(len(truth)), truth][:, None]
    assert answers.rank.tolist() == ((scores > mine).sum(axis=1) + 1).tolist()


def test_equal_scores_rank_as_they_are_answered():
    answers = evaluated([[1, 1, 1], [1, 1, 1], [0, 1, 1]], [0, 2, 2]).answers
    assert answers.predicted.tolist() == [0, 0, 1]
    assert answers.rank.tolist() == [1, 3, 2]


def test_nan_logits_have_zero_confidence():
    result = evaluated([[np.nan, 1.0], [np.nan, np.nan], [0.0, 1.0]], [1, 1, 1])
    assert result.answers.confidence.tolist() == pytest.approx([0, 0, 0.7310586], abs=1e-6)
    assert result.answers.rank.tolist() == [2, 2, 1]
    assert result.bins[0] == (2, 0, 0.0)


def test_a_confidence_on_an_edge_is_of_the_bin_below():
    assert evaluated([[1.0, 1.0]], [0]).bins[4] == (1, 1, 0.5)


def test_the_baseline_is_the_commonest_class_of_the_training_images():
    result = evaluated(np.eye(3)[[0, 1, 1, 2]], [0, 1, 2, 2])
    mine = figures(result, train_counts=(5, 3, 5))
    assert mine.majority_class == 0
    assert mine.baseline == Rate(1, 4)


def test_a_log_from_before_has_no_baseline_calibration_or_top5():
    mine = metrics_of(
        events.TestFinished(epoch=1, loss=1.0, correct=(1, 2), total=(2, 2), seconds=1.0), None
    )
    assert (mine.baseline, mine.majority_class, mine.top5, mine.calibration_error) == (None,) * 4
    assert mine.accuracy == Rate(3, 4)


def test_the_most_confused_pairs_come_first():
    confusion = ((0, 1, 3), (0, 2, 9), (1, 0, 9), (2, 0, 1))
    assert most_confused(confusion, 3) == ((0, 2, 9), (1, 0, 9), (0, 1, 3))


def test_pairs_with_unknown_classes_are_skipped():
    assert confusion_matrix((1, 2), ((0, 1, 3), (5, 0, 1), (-1, 0, 1))) == [[1, 3], [0, 2]]
