"""Stored predictions of the final test, and images of its mistakes."""

import base64
import errno
import json
import os
from pathlib import Path

import pytest
import torch

from cnn_engine.data.dataset import load_dataset
from cnn_engine.errors import ConfigError, DataError
from cnn_engine.evaluation import pictures
from cnn_engine.inference.trained import load_trained_model
from cnn_engine.results import mistakes, predictions
from cnn_engine.results.mistakes import read_mistakes, select_mistakes
from cnn_engine.results.pictures import MAX_PIXEL_BYTES
from cnn_engine.results.predictions import Predictions, read_predictions
from cnn_engine.runlog.events import Notice
from cnn_engine.runs.summary import read_state
from runs_for_tests import RunForTests


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return a run and the final test in its log."""
    run = RunForTests(tmp_path_factory.mktemp("runs"), "train.epochs=2").train()
    return run, run.live_state.test


@pytest.fixture
def run(trained, tmp_path):
    """Return a copy of the run that a test may damage."""
    copy = type(trained[0].directory)(tmp_path / "run")
    copy.path.mkdir()
    for path in trained[0].directory.path.iterdir():
        (copy.path / path.name).write_bytes(path.read_bytes())
    return copy


def make_predictions(targets, predicted, confidence):
    count = len(targets)
    return Predictions(
        epoch=1,
        fingerprint="",
        names=[f"image {number}" for number in range(count)],
        target=targets,
        predicted=predicted,
        confidence=confidence,
        rank=[1 if a == b else 2 for a, b in zip(targets, predicted, strict=True)],
    )


# Files that the engine writes.


def test_predictions_cover_every_test_image(trained):
    run, test = trained
    stored = read_predictions(run.directory, test)
    model = load_trained_model(run.directory)
    data = load_dataset(model.config.data, model.config.train.seed, lambda *_: None)
    logits = model.logits(data.images[data.test])
    confidence, predicted = logits.double().softmax(dim=1).max(dim=1)
    assert stored.names == [data.name_of(index) for index in data.test.tolist()]
    assert stored.target == data.labels[data.test].tolist()
    assert stored.predicted == predicted.tolist()
    assert stored.confidence == pytest.approx(confidence.tolist(), abs=1e-5)
    of_target = logits.double().softmax(dim=1)[range(len(data.test)), data.labels[data.test]]
    assert stored.target_confidence == pytest.approx(of_target.tolist(), abs=1e-5)
    assert stored.rank[stored.mistakes()[0]] > 1
    assert sum(stored.is_correct) == sum(test.correct)
    assert sum(rank <= 5 for rank in stored.rank) == test.top5


def test_older_file_without_the_confidence_of_the_true_class_is_read(run, trained):
    edit_json(run.path / predictions.PREDICTIONS_FILE, drop("target_confidence"))
    assert read_predictions(run, trained[1]).target_confidence == []


def test_most_confident_mistakes_are_stored_with_their_images(trained):
    run, test = trained
    stored, images = read_predictions(run.directory, test), read_mistakes(run.directory, test)
    model = load_trained_model(run.directory)
    data = load_dataset(model.config.data, model.config.train.seed, lambda *_: None)
    wrong = stored.mistakes()
    assert len(wrong) > mistakes.MAX_OVERALL
    assert [mistake.name for mistake in images[: mistakes.MAX_OVERALL]] == [
        stored[index].name for index in wrong[: mistakes.MAX_OVERALL]
    ]
    by_name = {data.name_of(index): index for index in data.test.tolist()}
    for mistake in images:
        assert mistake.pixels == data.images[by_name[mistake.name]].numpy().tobytes()
        assert (mistake.width, mistake.height, mistake.channels) == (8, 8, 1)
    pairs = {(mistake.target, mistake.predicted) for mistake in images}
    assert pairs == {(target, predicted) for target, predicted, _ in test.confusion}


def test_large_images_are_downscaled(trained):
    model = load_trained_model(trained[0].directory)
    data = load_dataset(model.config.data, 0, lambda *_: None)
    image = data.images[0].repeat_interleave(16, dim=0).repeat_interleave(16, dim=1)
    small = pictures._resized(image, [64, 64])
    expected = data.images[0].repeat_interleave(8, dim=0).repeat_interleave(8, dim=1)
    assert small.shape == (64, 64, 1)
    assert (small.float() - expected.float()).abs().mean() < 8


def test_selected_mistakes_are_bounded_per_pair_and_in_total():
    many = 5_000
    confidence = [index / many for index in range(many)]
    one_pair = make_predictions([0] * many, [1] * many, confidence)
    selected = select_mistakes(one_pair, 3072)
    assert selected == list(range(many - 1, many - 1 - 48 - 6, -1))
    all_pairs = make_predictions([index % 50 for index in range(many)], [50] * many, confidence)
    assert len(select_mistakes(all_pairs, 3072)) == 48 + 50 * 6
    assert len(select_mistakes(all_pairs, 64 * 64 * 3)) == MAX_PIXEL_BYTES // (64 * 64 * 3)
    assert {all_pairs.target[index] for index in select_mistakes(all_pairs, 64 * 64 * 3)} == set(
        range(50)
    )


def test_fingerprint_depends_on_test_images(trained):
    config = load_trained_model(trained[0].directory).config.data
    same, other = (load_dataset(config, seed, lambda *_: None) for seed in (0, 1))
    assert same.test_fingerprint() == other.test_fingerprint() == trained[1].fingerprint
    assert same.fingerprint() != other.fingerprint()
    first = same.test[0]
    changed = same.images.clone()
    changed[first, 3, 3] ^= 1
    for changes in (
        {"images": changed},
        {"labels": same.labels.index_fill(0, first, (same.labels[first] + 1) % 10)},
        {"test": same.test.flip(0)},
        {"classes": ("a", *same.classes[1:])},
    ):
        values = {**vars(same), **changes}
        assert type(same)(**values).test_fingerprint() != same.test_fingerprint()


def test_full_disk_adds_notice(tmp_path, monkeypatch):
    real = os.replace

    refused = (
        predictions.PREDICTIONS_FILE,
        mistakes.MISTAKES_FILE,
        predictions.VALIDATION_FILE,
        mistakes.VALIDATION_MISTAKES_FILE,
    )

    def refuse(source, target):
        if Path(target).name in refused:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(source, target)

    monkeypatch.setattr(os, "replace", refuse)
    run = RunForTests(tmp_path, "train.epochs=1").train()
    assert run.engine.exit_code == 0
    assert run.live_state.test is not None
    notices = [event.text for event in run.events() if isinstance(event, Notice)]
    assert [text.partition(":")[0] for text in notices] == [
        "validation.json could not be written",
        "validation_mistakes.json could not be written",
        "test.json could not be written",
    ]
    assert "No space left on device" in notices[0]
    assert not (run.directory.path / predictions.PREDICTIONS_FILE).exists()
    assert not list(run.directory.path.glob("*.tmp"))


def test_resumed_training_rewrites_predictions(tmp_path):
    run = RunForTests(tmp_path, "train.epochs=1").train()
    before = read_predictions(run.directory, run.live_state.test)
    run.resume(epochs=3)
    after = read_predictions(run.directory, run.live_state.test)
    assert after.names == before.names
    assert after.confidence != before.confidence
    read_mistakes(run.directory, run.live_state.test)


# Invalid files.


def edit_json(path, change):
    content = json.loads(path.read_bytes())
    change(content)
    path.write_text(json.dumps(content))


def drop(key):
    return lambda content: content.pop(key)


def put(key, value):
    return lambda content: content.update({key: value})


def put_first(key, value):
    return lambda content: content[key].__setitem__(0, value)


def put_in_mistake(key, value):
    return lambda content: content["mistakes"][0].update({key: value})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (drop("truth"), "missing required field `truth`"),
        (drop("format"), "is damaged, or was not written by cnn-tui"),
        (put("epoch", -1), "Expected `int` >= 0"),
        (put("epoch", True), "Expected `int`, got `bool`"),
        (put("fingerprint", 5), "Expected `str`"),
        (put("fingerprint", "5"), "another test"),
        (put("epoch", 99), "another test"),
        (put("names", ["one"]), "differ in length"),
        (put_first("names", None), "Expected `str`"),
        (put_first("truth", 10), "truth: 10 is not in 0 to 9"),
        (put_first("predicted", 1.5), "Expected `int`, got `float`"),
        (put_first("confidence", 2), "Expected `float` <= 1.0"),
        (put("target_confidence", [1]), "differ in length"),
        (put_first("confidence", float("nan")), "Expected `float` >= 0.0"),
        (put_first("rank", 0), "rank: 0 is not in 1 to 10"),
        (lambda content: content["predicted"].reverse(), "another test"),
    ],
)
def test_invalid_predictions_name_the_field(run, trained, change, message):
    edit_json(run.path / predictions.PREDICTIONS_FILE, change)
    with pytest.raises(DataError, match=message) as caught:
        read_predictions(run, trained[1])
    assert predictions.PREDICTIONS_FILE in str(caught.value)
    assert f"cnn-tui test {run.id}" in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (drop("mistakes"), "missing required field `mistakes`"),
        (put("mistakes", [3]), "Expected `object`, got `int`"),
        (put("fingerprint", "5"), "another test"),
        (put_in_mistake("width", 9), "do not fit its shape"),
        (put_in_mistake("width", 65), "Expected `int` <= 64"),
        (lambda content: content["mistakes"][0].update(width=4, height=16), "differ in size"),
        (put_in_mistake("height", 0), "Expected `int` >= 1"),
        (put_in_mistake("channels", 4), "Expected `int` <= 3"),
        (put_in_mistake("pixels", "?"), "is damaged"),
        (put_in_mistake("pixels", "é"), "is damaged"),
        (put_in_mistake("rank", 1), "Expected `int` >= 2"),
        (put_in_mistake("name", {"a": 1}), "Expected `str`"),
        (lambda content: content["mistakes"].extend(content["mistakes"][:1] * 300), "another test"),
    ],
)
def test_invalid_mistakes_name_the_field(run, trained, change, message):
    edit_json(run.path / mistakes.MISTAKES_FILE, change)
    with pytest.raises(DataError, match=message):
        read_mistakes(run, trained[1])


def grey_alpha(content):
    content["mistakes"][0] |= {"channels": 2, "pixels": base64.b64encode(bytes(128)).decode()}


def test_image_with_two_channels_is_refused(run, trained):
    edit_json(run.path / mistakes.MISTAKES_FILE, grey_alpha)
    with pytest.raises(DataError, match="neither one nor three channels"):
        read_mistakes(run, trained[1])


READERS = [
    (read_predictions, predictions.PREDICTIONS_FILE),
    (read_mistakes, mistakes.MISTAKES_FILE),
]


@pytest.mark.parametrize(("read", "file"), READERS)
@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b"\xff\xfe\0", b"[" * 100_000, b'{"format":1}', b"{}"]
)
def test_file_of_other_content_is_refused(run, trained, read, file, content):
    (run.path / file).write_bytes(content)
    with pytest.raises(DataError, match=file):
        read(run, trained[1])


@pytest.mark.parametrize(("read", "file"), READERS)
def test_truncated_file_is_refused(run, trained, read, file):
    content = (run.path / file).read_bytes()
    for twentieths in range(20):
        (run.path / file).write_bytes(content[: len(content) * twentieths // 20])
        with pytest.raises(DataError, match=file):
            read(run, trained[1])


@pytest.mark.parametrize(("read", "file"), READERS)
def test_missing_irregular_large_or_newer_file_is_refused(run, trained, read, file, monkeypatch):
    path = run.path / file
    edit_json(path, put("format", 2))
    with pytest.raises(ConfigError, match="newer version"):
        read(run, trained[1])
    with path.open("r+b") as stream:
        stream.truncate(10**9)
    with pytest.raises(DataError, match=r"over .* bytes"):
        read(run, trained[1])
    path.unlink()
    with pytest.raises(DataError, match="there is no such file"):
        read(run, trained[1])
    os.mkfifo(path)  # opening it would block forever
    with pytest.raises(DataError, match="there is no such file"):
        read(run, trained[1])


def test_surrogate_names_round_trip(run, trained):
    _, test = trained
    stored = read_predictions(run, test)
    stored.names[0] = "\udcff\x1b[2J\u202e"
    (run.path / predictions.PREDICTIONS_FILE).write_bytes(stored.to_json())
    assert read_predictions(run, test).names[0] == "\udcff\x1b[2J\u202e"


def test_test_event_round_trips(trained):
    run, test = trained
    assert read_state(run.directory)[0].test == test
    assert sum(images for images, _, _ in test.bins) == sum(test.total)
    prepared = run.live_state.prepared
    assert sum(prepared.train_counts) == prepared.train_images
    assert torch.tensor(prepared.train_counts).min() > 0
