"""The HTML report, parsed and checked for content, escaping and policy."""

import base64
import hashlib
import io
import json
import re
from dataclasses import replace

from PIL import Image

from cnn_engine.results import mistakes
from cnn_engine.results.mistakes import read_mistakes
from cnn_engine.runlog import events
from cnn_tui.exports.html_report import write_html
from cnn_tui.exports.html_results import MAX_MISTAKES
from cnn_tui.exports.markdown import write_markdown
from cnn_tui.exports.png import encode_png
from cnn_tui.exports.record import read_record
from cnn_tui.text.safe import safe_text
from exports_for_tests import Page, export_text
from golden import NOW, running_run
from loops_for_tests import finished, gan, loop_run


def test_page_is_self_contained_with_a_strict_policy(completed):
    text = export_text(write_html, completed)
    page = Page(text)
    assert not page.open
    tags = {tag for tag, _ in page.elements}
    assert tags.isdisjoint({"script", "link", "iframe", "object", "base", "form"})
    for tag, attributes in page.elements:
        assert attributes.keys().isdisjoint({"href", "style", "onload"}), tag
        assert attributes.get("src", "data:image/png;").startswith("data:image/png;"), tag
    (style,) = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    assert "url(" not in style
    assert "@import" not in style
    policy = next(meta for meta in page.all("meta") if "http-equiv" in meta)["content"]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert "default-src 'none'" in policy
    assert f"style-src 'sha256-{digest}'" in policy
    assert "img-src data:;" in policy


def test_page_shows_the_results(completed):
    page = Page(export_text(write_html, completed))
    texts = " ".join(page.texts)
    for expected in ("digits · baseline", "99.72%", "Threads", "optimizer", "cnn-tui run run.toml"):
        assert expected in texts
    assert texts.count(completed.state.prepared.source) == 1


def test_confusion_matrix_highlights_its_diagonal(resumed):
    page = Page(export_text(write_html, resumed))
    cells = [cell["class"] for cell in page.all("td") if "class" in cell]
    assert len(cells) == 100
    assert [index for index, cell in enumerate(cells) if "right" in cell] == list(range(0, 100, 11))


def test_charts_have_text_alternatives(completed):
    page = Page(export_text(write_html, completed))
    charts = [svg for svg in page.all("svg") if svg.get("role") == "img"]
    assert len(charts) == 2
    ids = {attributes["id"] for _, attributes in page.elements if "id" in attributes}
    assert all(set(svg["aria-labelledby"].split()) <= ids for svg in charts)
    assert all(svg.get("role") == "img" or svg["aria-hidden"] == "true" for svg in page.all("svg"))
    assert any("Over 20 epochs the training loss went from" in text for text in page.texts)


def test_page_of_an_unfinished_run_is_valid(tmp_path):
    for lines in (1, 5, 7):
        assert not Page(
            export_text(write_html, read_record(running_run(tmp_path / str(lines), lines)))
        ).open


def test_names_are_escaped_in_html(hostile):
    text = export_text(write_html, hostile)
    page = Page(text)
    assert not page.open
    assert not page.all("script")
    assert not page.all("a")
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", text)
    assert "<script>alert(1)</script>" in " ".join(page.texts)


def test_page_shows_the_most_confident_mistakes(tested):
    page = Page(export_text(write_html, tested))
    saved = read_mistakes(tested.run, tested.state.test)
    images = page.all("img")
    assert len(saved) > len(images) == MAX_MISTAKES
    for mistake, image in zip(saved[:MAX_MISTAKES], images, strict=True):
        png = base64.b64decode(image["src"].removeprefix("data:image/png;base64,"), validate=True)
        with Image.open(io.BytesIO(png)) as picture:
            assert picture.size == (mistake.width, mistake.height)
            assert picture.tobytes() == mistake.pixels
        names = [tested.classes[index] for index in (mistake.target, mistake.predicted)]
        assert image["alt"] == f"true {names[0]}, predicted {names[1]}"
        assert safe_text(mistake.name) in page.texts
    assert "<i>\\x1b[2J.png" in page.texts
    assert not page.all("i")


def test_page_shows_what_speaks_for_the_predicted_class(tested):
    path = tested.run.path / mistakes.MISTAKES_FILE
    file = json.loads(path.read_bytes())
    size = len(export_text(write_html, tested))
    for mistake in file["mistakes"]:  # the left half
        mistake["heatmap"] = {"values": "/wA=", "width": 2, "height": 1}
    path.write_text(json.dumps(file))
    text = export_text(write_html, tested)
    page = Page(text)
    images = page.all("img")
    assert len(images) == 2 * MAX_MISTAKES
    predicted = tested.classes[file["mistakes"][0]["predicted"]]
    assert images[1]["alt"] == f"what speaks for {predicted}"
    png = base64.b64decode(images[1]["src"].removeprefix("data:image/png;base64,"))
    with Image.open(io.BytesIO(png)) as picture:
        left, right = (picture.getpixel((x, 0)) for x in (0, picture.width - 1))
    assert left[0] > left[2] + 75
    assert len(set(right)) == 1
    assert any("yellow and orange parts speak for the predicted class" in t for t in page.texts)
    assert len(text) - size < 400_000


def test_encode_png_writes_rgb():
    pixels = bytes(range(2 * 3 * 3))
    with Image.open(io.BytesIO(encode_png(pixels, 3, 2, 3))) as picture:
        picture.load()
        assert (picture.mode, picture.size, picture.tobytes()) == ("RGB", (3, 2), pixels)


def test_page_shows_the_reason_for_missing_images(tested):
    (tested.run.path / mistakes.MISTAKES_FILE).write_bytes(b"{")
    page = Page(export_text(write_html, tested))
    assert not page.all("img")
    assert any("No images" in text and "cnn-tui test" in text for text in page.texts)


def test_page_of_another_loop_has_all_series_and_no_command_to_repeat_it(of_loop):
    text = export_text(write_html, of_loop)
    Page(text)  # its end tags match
    for name in of_loop.state.series:
        assert f"<figcaption>{name}</figcaption>" in text
    assert text.count("<svg viewBox") >= len(of_loop.state.series) + 1
    assert "train.py --lr 0.1" in text
    assert "--like" not in text
    assert "Lightning 2.5" in text
    report = export_text(write_markdown, of_loop)
    assert "| `val/f1` | 0.9 | 0.4 | 0.9 |" in report
    assert "--like" not in report
    assert "cnn-tui run run.toml" not in report


def test_report_of_a_run_without_config_and_finite_values(tmp_path):
    started, *others = gan(2)
    infinite = events.ScalarsLogged(time=NOW, step=2, not_finite={"ratio": "inf"})
    logged = finished([replace(started, config={}), *others, infinite])
    record = read_record(loop_run(tmp_path, logged))
    report = export_text(write_markdown, record)
    assert "toml" not in report
    assert "| `ratio` | inf | – | – |" in report
    assert "Its config" not in export_text(write_html, record)
