"""Metrics, compared with scikit-learn and SciPy."""

import numpy as np
import pytest
import torch
from scipy.stats import binomtest
from sklearn.calibration import calibration_curve
from sklearn.metrics import confusion_matrix as sklearn_confusion_matrix
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


class TableModel(torch.nn.Module):
    """A model that looks up logits; an image's two pixels encode its row number."""

    def __init__(self, logits):
        super().__init__()
        self.logits = logits

    def forward(self, images):
        pixels = images.flatten(1).long()
        return self.logits[pixels[:, 0] * 256 + pixels[:, 1]]


def evaluate_logits(logits, targets):
    """Return the evaluation of a model with these logits [N, classes] for these targets [N]."""
    numbers = torch.arange(len(targets))
    pixels = torch.stack([numbers // 256, numbers % 256], dim=1).to(torch.uint8)
    loader = TensorLoader(
        images=pixels.view(-1, 1, 2, 1),
        labels=torch.tensor(targets),
        scale=torch.ones(1, 2, 1),
        shift=torch.zeros(1, 2, 1),
        device=torch.device("cpu"),
    )
    logits = torch.tensor(logits, dtype=torch.float32)
    return evaluate(TableModel(logits), loader, numbers, logits.shape[1], lambda _: None)


def metrics_from_events(result, train_counts=()):
    """Return the metrics, computed from the events that a run would log."""
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


def random_case(classes, images, present=None, predictable=None):
    """Return random logits and targets; limit the classes of the targets and the predictions."""
    generator = np.random.default_rng(classes * images)
    targets = generator.choice(list(present or range(classes)), size=images)
    logits = generator.normal(size=(images, classes)) * 2
    logits[np.arange(images), targets] += 1
    for never in set(range(classes)) - set(predictable or range(classes)):
        logits[:, never] = -50 + generator.normal(size=images)
    return logits.astype(np.float32), targets


CASES = {
    "many": random_case(12, 3000),
    "two classes": random_case(2, 500),
    "class never predicted": random_case(7, 900, predictable=range(6)),
    "class without images": random_case(7, 900, present=range(6)),
    "class without images or predictions": random_case(
        7, 900, present=range(6), predictable=range(6)
    ),
    "one class predicted": random_case(5, 300, predictable=[2]),
    "one class": random_case(1, 40),
    "one image": random_case(4, 1),
    "none correct": (np.eye(3)[[1, 2, 0]] * 9 + np.eye(3)[[2, 0, 1]], np.array([0, 1, 2])),
    "all correct": (np.eye(3)[[0, 1, 2]] * 9, np.array([0, 1, 2])),
}


@pytest.fixture(params=CASES.values(), ids=CASES.keys())
def evaluated(request):
    """Return logits, targets, predictions and the evaluation."""
    logits, targets = request.param
    return logits, targets, logits.argmax(axis=1), evaluate_logits(logits, targets)


@pytest.mark.filterwarnings("ignore:A single label")
def test_counts_give_the_confusion_matrix_of_scikit_learn(evaluated):
    logits, targets, predicted, result = evaluated
    matrix = confusion_matrix(result.correct, result.confusion)
    assert (
        matrix
        == sklearn_confusion_matrix(targets, predicted, labels=range(logits.shape[1])).tolist()
    )
    assert result.confusion == tuple(sorted(result.confusion))
    assert all(a != b and images > 0 for a, b, images in result.confusion)


def test_precision_recall_and_f1_match_scikit_learn(evaluated):
    logits, targets, predicted, result = evaluated
    found = class_metrics(result.correct, result.total, result.confusion)
    options = {"labels": range(logits.shape[1]), "average": None, "zero_division": np.nan}
    for score, name in ((precision_score, "precision"), (recall_score, "recall"), (f1_score, "f1")):
        expected = [
            None if np.isnan(value) else value for value in score(targets, predicted, **options)
        ]
        assert [getattr(row, name) for row in found] == pytest.approx(expected), name


def test_macro_averages_match_scikit_learn(evaluated):
    _, targets, predicted, result = evaluated
    metrics = metrics_from_events(result)
    *expected, _ = precision_recall_fscore_support(
        targets, predicted, average="macro", zero_division=0
    )
    assert [metrics.macro.precision, metrics.macro.recall, metrics.macro.f1] == pytest.approx(
        expected
    )


def test_intervals_match_scipy(evaluated):
    *_, result = evaluated
    metrics = metrics_from_events(result)
    for rate in (metrics.accuracy, *(row.accuracy for row in metrics.classes)):
        if not rate.images:
            assert rate.fraction is rate.interval is None
            continue
        expected = binomtest(rate.correct, rate.images).proportion_ci(0.95, method="wilson")
        assert rate.interval == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_calibration_matches_scikit_learn(evaluated):
    logits, targets, predicted, result = evaluated
    confidence = torch.tensor(logits).double().softmax(dim=1).numpy().max(axis=1)
    edges = np.linspace(0, 1, 11)
    if len(targets) > 1:
        is_correct = (predicted == targets).astype(int)
        if is_correct.min() != is_correct.max():  # scikit-learn needs both classes
            fractions, means = calibration_curve(is_correct, confidence.clip(0, 1), n_bins=10)
            filled = [row for row in result.bins if row[0]]
            assert [row[1] / row[0] for row in filled] == pytest.approx(fractions)
            assert [row[2] / row[0] for row in filled] == pytest.approx(means, rel=1e-5)
    bins = np.searchsorted(edges[1:-1], confidence)
    error = sum(
        np.mean(bins == number)
        * abs(np.mean((predicted == targets)[bins == number]) - np.mean(confidence[bins == number]))
        for number in set(bins)
    )
    assert calibration_error(result.bins) == pytest.approx(error, abs=1e-6)


def test_top5_matches_scikit_learn(evaluated):
    logits, targets, _, result = evaluated
    if logits.shape[1] < 10:
        assert result.top5 is None
        return
    expected = top_k_accuracy_score(targets, logits, k=5, labels=range(logits.shape[1]))
    assert metrics_from_events(result).top5.fraction == pytest.approx(expected)


def test_ranks_match_the_logits(evaluated):
    logits, targets, predicted, result = evaluated
    predictions = result.predictions
    assert predictions.targets.tolist() == targets.tolist()
    assert predictions.predicted.tolist() == predicted.tolist()
    target_logits = logits[np.arange(len(targets)), targets][:, None]
    assert predictions.rank.tolist() == ((logits > target_logits).sum(axis=1) + 1).tolist()


def test_equal_logits_rank_by_class_index():
    predictions = evaluate_logits([[1, 1, 1], [1, 1, 1], [0, 1, 1]], [0, 2, 2]).predictions
    assert predictions.predicted.tolist() == [0, 0, 1]
    assert predictions.rank.tolist() == [1, 3, 2]


def test_nan_logits_have_zero_confidence():
    result = evaluate_logits([[np.nan, 1.0], [np.nan, np.nan], [0.0, 1.0]], [1, 1, 1])
    assert result.predictions.confidence.tolist() == pytest.approx([0, 0, 0.7310586], abs=1e-6)
    assert result.predictions.rank.tolist() == [2, 2, 1]
    assert result.bins[0] == (2, 0, 0.0)


def test_nan_logits_are_not_among_the_first_five():
    """Weights that are no numbers do not have a top-5 accuracy of 100 %."""
    result = evaluate_logits([[np.nan] * 10] * 3 + [[np.nan, *range(9)]], [0, 1, 9, 9])
    assert sum(result.correct) == result.top5 == 1
    assert result.predictions.rank.tolist() == [1, 10, 10, 10]


def test_confidence_on_an_edge_is_in_the_bin_below():
    assert evaluate_logits([[1.0, 1.0]], [0]).bins[4] == (1, 1, 0.5)


def test_baseline_is_the_majority_class_of_the_training_images():
    result = evaluate_logits(np.eye(3)[[0, 1, 1, 2]], [0, 1, 2, 2])
    metrics = metrics_from_events(result, train_counts=(5, 3, 5))
    assert metrics.majority_class == 0
    assert metrics.baseline == Rate(1, 4)


def test_old_log_has_no_baseline_calibration_or_top5():
    metrics = metrics_of(
        events.TestFinished(epoch=1, loss=1.0, correct=(1, 2), total=(2, 2), seconds=1.0), None
    )
    assert (
        metrics.baseline,
        metrics.majority_class,
        metrics.top5,
        metrics.calibration_error,
    ) == (None,) * 4
    assert metrics.accuracy == Rate(3, 4)


def test_most_confused_pairs_come_first():
    confusion = ((0, 1, 3), (0, 2, 9), (1, 0, 9), (2, 0, 1))
    assert most_confused(confusion, 3) == ((0, 2, 9), (1, 0, 9), (0, 1, 3))


def test_pairs_with_unknown_classes_are_skipped():
    assert confusion_matrix((1, 2), ((0, 1, 3), (5, 0, 1), (-1, 0, 1))) == [[1, 3], [0, 2]]
