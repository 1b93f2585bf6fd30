"""Sections of the HTML page about the final test, the classes and the mistakes."""

from base64 import b64encode
from html import escape

from cnn_engine.errors import UserError
from cnn_engine.results.metrics import confusion_matrix
from cnn_engine.results.mistakes import Mistake, read_mistakes
from cnn_tui.exports.facts import (
    MAX_NAME,
    class_results,
    confused_pairs,
    reliability_rows,
    test_metric_rows,
)
from cnn_tui.exports.html_parts import Markup, section, table
from cnn_tui.exports.png import encode_png
from cnn_tui.exports.record import Record
from cnn_tui.pictures.half_blocks import Picture
from cnn_tui.pictures.heat import heat_picture
from cnn_tui.text.metrics import BIN_HEADINGS, CLASS_HEADINGS, class_cells
from cnn_tui.text.numbers import percent, ratio
from cnn_tui.text.safe import class_name, escaped, safe_text

MAX_MATRIX_CLASSES = 40
"""Data sets with more classes get no matrix: it would be too large to read."""

MAX_MISTAKES = 24

MAX_FILE_NAME = 200


def result_sections(record: Record) -> str:
    """Return metrics, classes, confusion matrix, calibration and most confident mistakes."""
    return "\n".join(
        [
            _test(record),
            _classes(record),
            _matrix(record),
            f'<div class="pair">{_reliability(record)}{_confused(record)}</div>',
            _mistakes(record),
        ]
    )


def _test(record: Record) -> str:
    rows = test_metric_rows(record)
    caption = "Rates with their 95 % confidence interval"
    heading = ("metric", "", "remark")
    return section("Test", table(caption, heading, rows, "remarks") if rows else "")


def _classes(record: Record) -> str:
    images, classes = class_results(record)
    rows = (
        [row.name, _bar(row.metrics.accuracy.fraction), *class_cells(row.metrics)]
        for row in classes
    )
    caption = f"Images: {images}; the accuracy of a class is its recall"
    heading = ("class", "", *CLASS_HEADINGS)
    return section("Classes", table(caption, heading, rows) if classes else "")


def _bar(fraction: float | None) -> Markup:
    width = round(100 * (fraction or 0.0))
    return Markup(
        '<svg class="bar" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect class="rest" width="100" height="8"/>'
        f'<rect class="part" width="{width}" height="8"/>'
        "</svg>"
    )


def _matrix(record: Record) -> str:
    (images, classes), counts = class_results(record), record.state.latest_counts
    if counts is None or not counts.confusion or len(classes) > MAX_MATRIX_CLASSES:
        return ""
    heading = "".join(f'<th scope="col">{escape(row.name)}</th>' for row in classes)
    lines = []
    matrix = confusion_matrix(counts.correct, counts.confusion)
    for index, (row, counts_of_row) in enumerate(zip(classes, matrix, strict=False)):
        total = row.metrics.accuracy.images
        cells = "".join(
            f'<td class="{_heat(ratio(count, total), is_correct=index == column)}">{count:,}</td>'
            for column, count in enumerate(counts_of_row)
        )
        lines.append(f'<tr><th scope="row">{escape(row.name)}</th>{cells}</tr>')
    cells = (
        f'<table class="matrix"><caption>Images: {images}. Rows: true class, columns: predicted '
        f"class; correct predictions are framed</caption><thead><tr><td></td>{heading}</tr></thead>"
        f"<tbody>{''.join(lines)}</tbody></table>"
    )
    return section("Confusion matrix", f'<div class="scroll">{cells}</div>')


def _heat(fraction: float, *, is_correct: bool) -> str:
    """Return the CSS classes of a matrix cell, by its fraction of the true class's images."""
    level = sum(fraction > limit for limit in (0, 0.02, 0.1, 0.3))
    return f"q{level} right" if is_correct else f"q{level}"


def _reliability(record: Record) -> str:
    rows = reliability_rows(record)
    caption = "Test images by confidence: mean confidence against accuracy"
    return section("Calibration", table(caption, BIN_HEADINGS, rows) if rows else "")


def _confused(record: Record) -> str:
    rows = [
        [f"{row.target} → {row.predicted}", row.images, row.fraction]
        for row in confused_pairs(record)
    ]
    heading = ("true → predicted", "images", "of the class")
    pairs = table("The most frequent pairs of true and predicted class", heading, rows)
    return section("Most confused", pairs if rows else "")


def _mistakes(record: Record) -> str:
    if record.state.test is None:
        return ""
    try:
        mistakes = read_mistakes(record.run, record.state.test)[:MAX_MISTAKES]
    except UserError as error:
        reason = f"No images: {safe_text(str(error), 1000)}"
        return section("Most confident mistakes", f'<p class="muted">{escape(reason)}</p>')
    figures = "".join(_mistake(mistake, record.classes) for mistake in mistakes)
    text, style = "Predicted class, confidence, true class", "mistakes"
    if any(mistake.heatmap for mistake in mistakes):
        style = "mistakes why"
        text += ". Second picture: yellow and orange parts speak for the predicted class (HiResCAM)"
    caption = f'<p class="muted">{text}</p>'
    content = f'{caption}<div class="{style}">{figures}</div>' if figures else ""
    return section("Most confident mistakes", content)


def _mistake(mistake: Mistake, classes: tuple[str, ...]) -> str:
    target, predicted = (
        escape(class_name(classes, index, MAX_NAME))
        for index in (mistake.target, mistake.predicted)
    )
    name = escape(escaped(mistake.name, MAX_FILE_NAME))
    picture = Picture(mistake.pixels, mistake.width, mistake.height, mistake.channels)
    images = _image(picture, f"true {target}, predicted {predicted}")
    if mistake.heatmap is not None:
        images += _image(heat_picture(picture, mistake.heatmap), f"what speaks for {predicted}")
    return (
        f"<figure><div>{images}</div>"
        f"<figcaption><b>{predicted}</b> {percent(mistake.confidence)}<br>true: {target}<br>"
        f'<span class="muted">{name}</span></figcaption></figure>\n'
    )


def _image(picture: Picture, text: str) -> str:
    png = encode_png(picture.pixels, picture.width, picture.height, picture.channels)
    return f'<img src="data:image/png;base64,{b64encode(png).decode()}" alt="{text}">'
