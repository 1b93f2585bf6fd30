"""The figures of a test in words, for a screen, for the shell and for lines."""

from collections.abc import Sequence
from typing import NamedTuple

from cnn_engine.results.metrics import Bin, ClassFigures, Metrics, Rate
from cnn_engine.runlog.events import Confusion
from cnn_tui.text.numbers import decimal, percent, ratio
from cnn_tui.text.safe import safe_text

MAX_NAME_LENGTH = 24

CLASS_HEADINGS = ("accuracy", "95% interval", "images", "precision", "F1")
"""Of `class_cells`. Accuracy within a class is its recall."""

BIN_HEADINGS = ("confidence", "images", "on average", "right")
"""Of `bin_cells`."""

CALIBRATION_TOLERANCE = 0.005
"""Gap between confidence and share right below which neither is called the greater."""


class MetricRow(NamedTuple):
    """One figure."""

    name: str
    value: str
    remark: str
    """What it means, or how sure it is; may be empty."""


def metric_rows(figures: Metrics, classes: tuple[str, ...]) -> list[MetricRow]:
    """The figures of a test that there are."""
    accuracy = figures.accuracy
    counts = f"{interval_text(accuracy)}, {accuracy.right:,} of {accuracy.images:,}"
    rows = [MetricRow("accuracy", rate_text(accuracy), counts)]
    if figures.top5:
        rows.append(MetricRow("top 5", rate_text(figures.top5), interval_text(figures.top5)))
    if figures.baseline and figures.commonest is not None:
        name = safe_text(_name(classes, figures.commonest), MAX_NAME_LENGTH)
        rows.append(MetricRow(f"always {name}", rate_text(figures.baseline), _gain(figures)))
    parts = f"precision {figures.macro_precision:.4f}, recall {figures.macro_recall:.4f}"
    rows.append(MetricRow("macro F1", f"{figures.macro_f1:.4f}", parts))
    if figures.calibration_error is not None:
        error = percent(figures.calibration_error, 2)
        rows.append(MetricRow("calibration error", error, _confidence(figures)))
    return rows


def metric_lines(figures: Metrics, classes: tuple[str, ...]) -> list[str]:
    """The same as lines that are easily searched, but for the accuracy itself."""
    low, high = figures.accuracy.interval or (0.0, 1.0)
    lines = [f"Test Accuracy (95% Interval): {percent(low, 2)} to {percent(high, 2)}"]
    if figures.top5:
        lines.append(f"Test Accuracy (Top 5): {_of(figures.top5)}")
    if figures.baseline and figures.commonest is not None:
        name = safe_text(_name(classes, figures.commonest), MAX_NAME_LENGTH)
        lines.append(f"Test Accuracy (Always {name}): {_of(figures.baseline)}")
    lines.append(f"Test Macro F1: {figures.macro_f1:.4f}")
    if figures.calibration_error is not None:
        lines.append(f"Test Calibration Error: {figures.calibration_error:.4f}")
    return lines


class ConfusedPair(NamedTuple):
    """Two classes, one of them often taken for the other."""

    target: str
    predicted: str
    images: str
    fraction: str
    """Percentage of the images of the true class."""


def class_cells(of: ClassFigures) -> list[str]:
    """The figures of a class, as `CLASS_HEADINGS` name them."""
    return [
        rate_text(of.accuracy),
        interval_text(of.accuracy, 1),
        f"{of.accuracy.right:,}/{of.accuracy.images:,}",
        decimal(of.precision, 3),
        decimal(of.f1, 3),
    ]


def filled_bins(figures: Metrics) -> list[Bin]:
    """The rows of the reliability table that have images, the most confident first."""
    return [row for row in reversed(figures.bins) if row.rate.images > 0]


def bin_cells(row: Bin) -> list[str]:
    """A row of the reliability table, as `BIN_HEADINGS` name its columns."""
    return [
        confidence_text(row),
        f"{row.rate.images:,}",
        percent(row.mean_confidence or 0.0),
        percent(row.rate.share or 0.0),
    ]


def confused_pair_texts(
    confused: Confusion,
    total: Sequence[int],
    classes: Sequence[str],
    longest: int = MAX_NAME_LENGTH,
) -> list[ConfusedPair]:
    """Pairs of classes in words; those of classes there are not are left out.

    Args:
        confused: The pairs, with their images.
        total: Images, per class.
        classes: Names as they are.
        longest: Characters of a name.
    """
    places = range(min(len(classes), len(total)))
    return [
        ConfusedPair(
            safe_text(classes[truth], longest),
            safe_text(classes[predicted], longest),
            f"{images:,}",
            percent(ratio(images, total[truth])),
        )
        for truth, predicted, images in confused
        if truth in places and predicted in places
    ]


def rate_text(rate: Rate) -> str:
    """`78.11%`; a dash of no images."""
    return "–" if rate.share is None else percent(rate.share, 2)


def interval_text(rate: Rate, digits: int = 2) -> str:
    """`77.29–78.91%`, the 95 % interval; a dash of no images."""
    if rate.interval is None:
        return "–"
    low, high = (f"{100 * edge:.{digits}f}" for edge in rate.interval)
    return f"{low}–{high}%"


def confidence_text(row: Bin) -> str:
    """`80–90%`, the confidence of a row of the reliability table."""
    return f"{100 * row.above:.0f}–{100 * row.to:.0f}%"


def _gain(figures: Metrics) -> str:
    """How far always answering the commonest class is from the model, if beyond doubt.

    It is that where it lies outside of the interval of the model's accuracy.
    """
    baseline, interval = figures.baseline, figures.accuracy.interval
    if baseline is None or baseline.share is None or interval is None:
        return ""
    if interval.low <= baseline.share <= interval.high:
        return "the commonest class; perhaps no worse"
    points = 100 * (baseline.share - (figures.accuracy.share or 0.0))
    return f"the commonest class; {abs(points):.1f} points {'more' if points > 0 else 'less'}"


def _confidence(figures: Metrics) -> str:
    """Whether the model thinks too much of itself."""
    sure, right = figures.mean_confidence, figures.accuracy.share
    if sure is None or right is None:
        return ""
    verdict = "about right"
    if abs(sure - right) > CALIBRATION_TOLERANCE:
        verdict = "too sure" if sure > right else "too unsure"
    return f"{verdict}: {percent(sure)} sure on average, {percent(right)} right"


def _of(rate: Rate) -> str:
    return f"{rate_text(rate)} ({rate.right}/{rate.images})"


def _name(classes: tuple[str, ...], index: int) -> str:
    return classes[index] if index < len(classes) else f"class {index + 1}"
