"""Runs handed on: every format is read back by what its readers use."""

import base64
import csv
import hashlib
import io
import json
import math
import re
import tomllib
from dataclasses import replace
from html.parser import HTMLParser
from importlib.resources import files

import jsonschema
import pytest
from markdown_it import MarkdownIt
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from cnn_engine.config.presets import from_dict
from cnn_engine.errors import ConfigError, StorageError
from cnn_engine.results import mistakes
from cnn_engine.results.metrics import metrics_of
from cnn_engine.results.mistakes import Mistake, read_mistakes
from cnn_engine.runlog.curve import CurvePoint
from cnn_engine.runlog.events import EpochFinished, Notice, RunPrepared, RunStarted, StepsFinished
from cnn_engine.runlog.log import LogReader
from cnn_engine.runs.history import read_steps
from cnn_engine.runs.summary import read_state
from cnn_tui.exports.csv_tables import write_epochs, write_long, write_steps
from cnn_tui.exports.formats import RECORD_FORMATS, export_record
from cnn_tui.exports.html_report import write_html
from cnn_tui.exports.html_results import MAX_MISTAKES
from cnn_tui.exports.json_record import write_json
from cnn_tui.exports.markdown import code, write_markdown
from cnn_tui.exports.png import encode_png
from cnn_tui.exports.record import read_record, to_dict
from cnn_tui.exports.toml_text import to_toml
from cnn_tui.text.metrics import bin_cells, class_cells, figure_rows, filled_bins
from cnn_tui.text.safe import safe_text
from cnn_tui.text.shell import command_for
from golden import add_events, golden_run, rewritten, running_run

HOSTILE = (
    "\x1b]0;title\x07",
    "\x1b[2J",
    "\x9b31m",
    "two\nlines",
    "bidi \u202e override",
    "[red]",
    "<script>alert(1)</script>",
    "[@click=app.exit] [link](http://example.org) <http://example.org> @someone #1 `code` |",
    '=HYPERLINK("http://example.org")',
    "lone \ud800 surrogate \U0001f600" + "x" * 500,
)


@pytest.fixture
def completed(tmp_path):
    return read_record(golden_run(tmp_path, "completed"))


@pytest.fixture
def resumed(tmp_path):
    return read_record(golden_run(tmp_path, "resumed"))


@pytest.fixture
def hostile(tmp_path):
    """A run all of whose names try something."""

    def change(event):
        match event:
            case RunStarted():
                config = event.config | {"data": {"path": HOSTILE[-1], "source": HOSTILE[7]}}
                return replace(event, name=HOSTILE[6], preset=HOSTILE[7], config=config)
            case RunPrepared():
                return replace(event, classes=HOSTILE, source=HOSTILE[6], device_name=HOSTILE[0])
            case _:
                return event

    run = rewritten(golden_run(tmp_path, "completed"), change)
    return read_record(add_events(run, Notice(text=" ".join(HOSTILE))))


def with_environment(run, environment):
    """The run, started by a command with a blank in it, in that environment."""

    def change(event):
        match event:
            case RunStarted():
                return replace(
                    event, command=("cnn-tui", "run", "my config"), directory="/some <b>where"
                )
            case RunPrepared():
                return replace(event, environment=environment)
            case _:
                return event

    return read_record(rewritten(run, change))


@pytest.fixture
def tested(tmp_path):
    """A run whose test had more mistakes than a page shows, one of an image badly named."""
    record = read_record(golden_run(tmp_path, "completed"))
    test = replace(
        record.state.test,
        correct=(30, *record.state.test.correct[1:]),
        total=(60, *record.state.test.total[1:]),
        confusion=((0, 1, 30),),
        top5=350,
        bins=((100, 60, 45.0), (290, 280, 270.0)),
    )
    run = add_events(record.run, test)
    wrong = [
        Mistake(
            name="<i>\x1b[2J.png" if number == 3 else f"{number}.png",
            truth=0,
            predicted=1,
            confidence=1 - number / 100,
            rank=2,
            pixels=bytes((number + place) % 256 for place in range(6)),
            width=3,
            height=2,
            channels=1,
        )
        for number in range(30)
    ]
    content = mistakes.to_json(wrong, test.epoch, test.fingerprint)
    (run.path / mistakes.FILE).write_bytes(content)
    return with_environment(run, {"revision": "0123abcd with changes", "images": "9f8e7d"})


def written(write, record):
    out = io.StringIO()
    write(record, out)
    out.getvalue().encode()  # what no encoding can write would fail here
    return out.getvalue()


def rows_of(text):
    return list(csv.DictReader(io.StringIO(text)))


# Steps that were kept


@pytest.mark.parametrize("log", ["completed", "stopped", "resumed", "failed"])
def test_the_steps_that_are_kept_are_those_of_the_curve(tmp_path, log):
    run = golden_run(tmp_path, log)
    state, _ = read_state(run)
    per_epoch = state.steps_per_epoch
    kept = [
        CurvePoint(
            (event.epoch - 1) * per_epoch + event.step,
            event.loss,
            event.loss_min,
            event.loss_max,
            point.seconds,
        )
        for event, point in zip(read_steps(run), state.curve, strict=True)
    ]
    # NaN is not equal to itself, and so the failed run's losses are compared as text.
    assert repr(kept) == repr(list(state.curve))


def test_what_is_taken_back_twice_counts_up_to_the_earlier_place(resumed):
    run = resumed.run
    told = [event for event in resumed_events(run) if isinstance(event, StepsFinished)]
    kept = list(read_steps(run))
    assert len(kept) < len(told)
    places = [(event.epoch, event.step) for event in kept]
    assert places == sorted(set(places))


def resumed_events(run):
    return LogReader(run.events).poll()


# CSV


def test_a_table_of_epochs_has_their_figures(completed):
    rows = rows_of(written(write_epochs, [completed]))
    epochs = completed.state.epochs
    assert len(rows) == len(epochs) == 20
    assert [float(row["val_loss"]) for row in rows] == [epoch.val_loss for epoch in epochs]
    assert [float(row["val_accuracy"]) for row in rows] == [epoch.val_accuracy for epoch in epochs]
    assert [row["epoch"] for row in rows if row["best"] == "1"] == [str(completed.state.best.epoch)]
    last = epochs[-1]
    assert float(rows[-1]["val_accuracy of 3"]) == last.correct[3] / last.total[3]


def test_several_runs_share_one_table(tmp_path):
    records = [
        read_record(golden_run(tmp_path, "completed", "first")),
        read_record(golden_run(tmp_path, "stopped", "second")),
    ]
    for write in (write_epochs, write_steps, write_long):
        rows = rows_of(written(write, records))
        assert list(dict.fromkeys(row["run"] for row in rows)) == ["first", "second"]


def test_a_table_of_steps_has_every_step_that_was_kept(resumed):
    rows = rows_of(written(write_steps, [resumed]))
    assert [float(row["loss"]) for row in rows] == list(resumed.state.curve.losses)
    assert {float(row["lr"]) for row in rows} == {0.001}


def test_a_long_table_has_a_line_a_value(resumed):
    rows = rows_of(written(write_long, [resumed]))
    losses = [row for row in rows if row["series"] == "step_loss"]
    assert [int(row["step"]) for row in losses] == list(resumed.state.curve.steps)
    (test,) = [row for row in rows if row["series"] == "test_accuracy"]
    assert float(test["value"]) == resumed.state.test.accuracy
    of_class = [row for row in rows if row["series"] == "val_accuracy of 3"]
    assert len(of_class) == len(resumed.state.epochs)


def test_no_cell_is_a_formula_or_moves_the_cursor(hostile):
    for write in (write_epochs, write_long):
        text = written(write, [hostile])
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", text)
        for row in csv.reader(io.StringIO(text)):
            assert not any(cell.startswith(("=", "+", "@")) for cell in row)


def test_a_class_named_as_a_formula_alone_is_quoted(tmp_path):
    run = golden_run(tmp_path, "completed", "=1+1")
    (row, *_) = rows_of(written(write_epochs, [read_record(run)]))
    assert row["run"] == "'=1+1"


# JSON


def schema():
    return json.loads(files("cnn_tui.exports").joinpath("run.schema.json").read_text())


@pytest.mark.parametrize("log", ["completed", "stopped", "resumed", "failed"])
def test_a_json_record_is_as_its_schema_says(tmp_path, log):
    record = read_record(golden_run(tmp_path, log))
    values = json.loads(written(write_json, record), parse_constant=refuse)
    jsonschema.validate(values, schema())
    assert values["run_id"] == record.run.id
    assert len(values["steps"]["loss"]) == len(record.state.curve)
    assert len(values["epochs_finished"]) == len(record.state.epochs)


def refuse(constant):
    raise AssertionError(f"{constant} is not strict JSON")


@pytest.mark.parametrize("lines", [1, 2, 5, 7, 40])
def test_a_run_that_goes_on_has_a_record_too(tmp_path, lines):
    record = read_record(running_run(tmp_path, lines))
    jsonschema.validate(json.loads(written(write_json, record)), schema())


def test_the_schema_refuses_what_is_no_record(completed):
    values = to_dict(completed)
    jsonschema.validate(values, schema())
    for wrong in ({"format_version": 2}, {"best_val_accuracy": 1.5}, {"classes": "ten"}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(values | wrong, schema())


# TensorBoard


def tensorboard_of(run, path, part):
    export_record([run], "tensorboard", path)
    accumulator = EventAccumulator(
        str(path / run.id / part), size_guidance={"scalars": 0, "tensors": 0}
    )
    return accumulator.Reload()


def test_tensorboard_itself_reads_the_event_files(resumed, tmp_path):
    train = tensorboard_of(resumed.run, tmp_path / "tb", "train")
    losses = train.Scalars("loss")
    curve = resumed.state.curve
    assert [point.step for point in losses] == list(curve.steps)
    assert [point.value for point in losses] == pytest.approx(list(curve.losses), rel=1e-6)
    times = [event.time for event in read_steps(resumed.run)]
    assert [point.wall_time for point in losses] == times
    rates = [point.value for point in train.Scalars("learning_rate")]
    assert rates == pytest.approx([0.001] * len(curve))
    assert [point.step for point in train.Scalars("accuracy")] == [
        epoch.epoch * resumed.state.steps_per_epoch for epoch in resumed.state.epochs
    ]


def test_tensorboard_draws_validation_beside_training(resumed, tmp_path):
    val = tensorboard_of(resumed.run, tmp_path / "tb", "val")
    epochs = resumed.state.epochs
    assert [point.value for point in val.Scalars("loss")] == pytest.approx(
        [epoch.val_loss for epoch in epochs], rel=1e-6
    )
    assert val.Scalars("accuracy_of_class/3")[-1].value == pytest.approx(
        epochs[-1].correct[3] / epochs[-1].total[3]
    )
    test = EventAccumulator(str(tmp_path / "tb" / resumed.run.id / "test")).Reload()
    assert test.Scalars("accuracy")[0].value == pytest.approx(resumed.state.test.accuracy)


def test_tensorboard_shows_the_report_as_text(resumed, tmp_path):
    train = tensorboard_of(resumed.run, tmp_path / "tb", "train")
    (report,) = train.Tensors("run")
    assert report.tensor_proto.string_val[0].decode() == written(write_markdown, resumed)
    assert train.SummaryMetadata("run").plugin_data.plugin_name == "text"


def test_what_is_no_number_is_none_in_tensorboard_either(tmp_path):
    run = golden_run(tmp_path, "failed")
    (point, *_) = tensorboard_of(run, tmp_path / "tb", "train").Scalars("loss")
    (event, *_) = read_steps(run)
    assert math.isnan(point.value) == math.isnan(event.loss)
    huge = rewritten(
        golden_run(tmp_path, "completed", "huge"),
        lambda event: replace(event, loss=-1e300) if isinstance(event, StepsFinished) else event,
    )
    (point, *_) = tensorboard_of(huge, tmp_path / "tb", "train").Scalars("loss")
    assert point.value == -math.inf


def test_event_files_are_replaced_when_asked_and_nothing_else_is(completed, tmp_path):
    where = tmp_path / "tb"
    export_record([completed.run], "tensorboard", where)
    (where / completed.run.id / "mine.txt").write_text("mine")
    with pytest.raises(ConfigError, match="--force"):
        export_record([completed.run], "tensorboard", where)
    before = sorted(where.rglob("*"))
    export_record([completed.run], "tensorboard", where, force=True)
    assert sorted(where.rglob("*")) == before
    assert (where / completed.run.id / "mine.txt").read_text() == "mine"


# HTML


class Page(HTMLParser):
    """What a browser would make of it: elements, texts, and what stands open at the end."""

    VOID = frozenset({"br", "img", "meta", "rect", "path", "circle", "polygon"})

    def __init__(self, text):
        super().__init__()
        self.elements, self.texts, self.open = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def test_the_page_needs_nothing_else_and_its_policy_forbids_it(completed):
    text = written(write_html, completed)
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


def test_the_page_tells_what_the_run_came_to(completed):
    page = Page(written(write_html, completed))
    texts = " ".join(page.texts)
    for expected in ("digits · baseline", "99.72%", "Threads", "optimizer", "cnn-tui run run.toml"):
        assert expected in texts
    assert texts.count(completed.state.prepared.source) == 1


def test_the_matrix_has_every_pair_and_frames_what_is_right(resumed):
    page = Page(written(write_html, resumed))
    cells = [cell["class"] for cell in page.all("td") if "class" in cell]
    assert len(cells) == 100
    assert [index for index, cell in enumerate(cells) if "right" in cell] == list(range(0, 100, 11))


def test_curves_have_words_for_whoever_does_not_see_them(completed):
    page = Page(written(write_html, completed))
    named = [svg for svg in page.all("svg") if svg.get("role") == "img"]
    assert len(named) == 2
    ids = {attributes["id"] for _, attributes in page.elements if "id" in attributes}
    assert all(set(svg["aria-labelledby"].split()) <= ids for svg in named)
    assert all(svg.get("role") == "img" or svg["aria-hidden"] == "true" for svg in page.all("svg"))
    assert any("Over 20 epochs the training loss went from" in text for text in page.texts)


def test_a_run_without_anything_has_a_page(tmp_path):
    for lines in (1, 5, 7):
        assert not Page(
            written(write_html, read_record(running_run(tmp_path / str(lines), lines)))
        ).open


def test_no_name_is_markup(hostile):
    text = written(write_html, hostile)
    page = Page(text)
    assert not page.open
    assert not page.all("script")
    assert not page.all("a")
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", text)
    assert "<script>alert(1)</script>" in " ".join(page.texts)


def test_reports_tell_what_show_tells_of_the_test(tested):
    page, text = Page(written(write_html, tested)), written(write_markdown, tested)
    classes, test = tested.classes, tested.state.test
    figures = metrics_of(test, tested.state.prepared)
    cells = [cell for row in figure_rows(figures, classes) for cell in row]
    cells += [cell for of in figures.classes for cell in class_cells(of)]
    cells += [cell for row in filled_bins(figures) for cell in bin_cells(row)]
    assert len(cells) > 50
    for cell in filter(None, cells):
        assert cell in page.texts
        assert cell in text
    for heading in ("Test", "Classes", "How right, by how sure", "Most confused"):
        assert heading in page.texts
        assert f"## {heading}" in text


def test_reports_tell_where_the_run_comes_from(tested):
    page, text = Page(written(write_html, tested)), written(write_markdown, tested)
    like = command_for("run --like", tested.run)
    told = ["cnn-tui run 'my config'", "/some <b>where", "0123abcd with changes", "9f8e7d", like]
    for expected in told:
        assert expected in page.texts
        assert expected in text
    clean = written(write_markdown, with_environment(tested.run, {"revision": "0123abcd"}))
    assert "`0123abcd without changes`" in clean


def test_the_page_shows_the_surest_mistakes(tested):
    page = Page(written(write_html, tested))
    wrong = read_mistakes(tested.run, tested.state.test)
    images = page.all("img")
    assert len(wrong) > len(images) == MAX_MISTAKES
    for mistake, image in zip(wrong[:MAX_MISTAKES], images, strict=True):
        png = base64.b64decode(image["src"].removeprefix("data:image/png;base64,"), validate=True)
        with Image.open(io.BytesIO(png)) as picture:
            assert picture.size == (mistake.width, mistake.height)
            assert picture.tobytes() == mistake.pixels
        names = [tested.classes[of] for of in (mistake.truth, mistake.predicted)]
        assert image["alt"] == f"{names[0]}, taken for {names[1]}"
        assert safe_text(mistake.name) in page.texts
    assert "<i>\\x1b[2J.png" in page.texts
    assert not page.all("i")


def test_a_picture_in_colour_is_a_png_too():
    pixels = bytes(range(2 * 3 * 3))
    with Image.open(io.BytesIO(encode_png(pixels, 3, 2, 3))) as picture:
        picture.load()
        assert (picture.mode, picture.size, picture.tobytes()) == ("RGB", (3, 2), pixels)


def test_without_pictures_the_page_says_why(tested):
    (tested.run.path / mistakes.FILE).write_bytes(b"{")
    page = Page(written(write_html, tested))
    assert not page.all("img")
    assert any("No pictures of them" in text and "cnn-tui test" in text for text in page.texts)


# Markdown


def rendered(record):
    return (
        MarkdownIt("gfm-like", {"html": True, "linkify": False})
        .enable("table")
        .render(written(write_markdown, record))
    )


def test_markdown_has_tables(completed):
    html = rendered(completed)
    assert html.count("<table>") >= 4
    assert "<code>99.72%</code>" in html
    assert "<h2>Epochs</h2>" in html


def test_names_are_no_markdown(hostile):
    html = rendered(hostile)
    page = Page(html)
    assert not page.open
    tags = {tag for tag, _ in page.elements}
    assert tags.isdisjoint({"a", "script", "img"})
    (heading,) = re.findall(r"<h1>(.*)</h1>", html)
    assert heading.startswith("<code>")
    for row in re.findall(r"<tr>.*?</tr>", html, re.DOTALL):
        assert len(re.findall("<t[dh]", row)) in (2, 3, 4, 5, 6)
    # A mention or a link outside of code would reach someone.
    outside = re.sub(r"<code.*?</code>", "", html, flags=re.DOTALL)
    assert "@someone" not in outside
    assert "example.org" not in outside


@pytest.mark.parametrize("text", ["a", "`", "``a`", "a|b", "x\\", "<b>"])
def test_a_code_span_holds_its_text(text):
    html = MarkdownIt().render(code(text))
    assert Page(html).texts[0] == text


def test_of_many_epochs_some_are_listed_with_the_best(tmp_path):
    run = golden_run(tmp_path, "completed")
    epochs = [event for event in resumed_events(run) if isinstance(event, EpochFinished)]
    more = [replace(epochs[-1], epoch=number, val_loss=1.0) for number in range(21, 500)]
    record = read_record(add_events(run, *more))
    text = written(write_markdown, record)
    assert len(text.splitlines()) < 150
    assert f"\n| {record.state.best.epoch} ★ |" in text
    assert "\n| 499 |" in text


# The config, to train again


def test_the_config_comes_back_from_its_toml(completed):
    config = completed.state.config
    text = to_toml(config)
    assert from_dict(tomllib.loads(text)) == from_dict(config)


def test_a_string_comes_back_from_toml_whatever_is_in_it():
    values = {"data": {"path": '"\\\x00\x7f\x9b\u202e\n', "list": ["a", 1, 2.5, True]}, "a.b": {}}
    assert tomllib.loads(to_toml(values)) == values
    assert tomllib.loads(to_toml({"a": {"b": "\ud800"}})) == {"a": {"b": "\ufffd"}}


# Files


@pytest.mark.parametrize("to", RECORD_FORMATS)
def test_what_is_there_is_replaced_only_when_asked(completed, tmp_path, monkeypatch, to):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    path, damaged_lines = export_record([completed.run], to, None)
    assert damaged_lines == 0
    assert path.exists()
    with pytest.raises(ConfigError, match="is there already; --force replaces it"):
        export_record([completed.run], to, None)
    assert export_record([completed.run], to, None, force=True).path == path
    assert not list(tmp_path.rglob("*.tmp"))


def test_damaged_lines_are_told(completed, tmp_path):
    with completed.run.events.open("a") as log:
        log.write("no event\n")
    assert export_record([completed.run], "csv", tmp_path / "out.csv").damaged_lines == 1


def test_a_place_that_cannot_be_written_is_named(completed, tmp_path):
    for to in RECORD_FORMATS:
        with pytest.raises(StorageError, match="cannot be written"):
            export_record([completed.run], to, completed.run.events / "x")


def test_several_runs_in_a_format_for_one_are_refused(completed):
    with pytest.raises(ConfigError, match="takes one run, and there are 2"):
        export_record([completed.run] * 2, "html", None)
