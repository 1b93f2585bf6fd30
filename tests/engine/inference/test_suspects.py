"""Suspicious images of a run whose folder has wrong labels, near-duplicates and an outlier."""

import dataclasses
import random
import shutil

import numpy as np
import pytest
from PIL import Image

from cnn_engine.data.dataset import load_dataset
from cnn_engine.data.marks import Marked, write_marks
from cnn_engine.errors import ConfigError, DataError
from cnn_engine.inference.suspects import find_suspects
from cnn_engine.results.margins import MARGINS_FILE
from cnn_engine.results.predictions import VALIDATION_FILE
from cnn_engine.results.suspects import read_suspects
from cnn_engine.runs.directory import RunDirectory
from cnn_engine.session.engine import Engine
from cnn_engine.session.request import Request
from runs_for_tests import SMALL, RunForTests

WRONG = 12
SETTINGS = (
    "data.image_size=8",
    "model.filters=[16]",
    "model.hidden=[32]",
    "model.dropout=0",
    "train.epochs=8",
    "train.batch_size=32",
    "train.device=cpu",
    "train.precision=fp32",
    "data.channels=1",
)


def no_progress(*_):
    pass


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder of handwritten 0, 1 and 2, the names of those with wrong labels, and the
    right ones."""
    folder = tmp_path_factory.mktemp("digits")
    config = Request.from_preset("digits", ["data.image_size=8"]).config
    data = load_dataset(config.data, 0, no_progress)
    random_ = random.Random(0)
    chosen = [index for index in range(len(data.labels)) if data.labels[index] < 3]
    wrong = set(random_.sample(chosen, WRONG))
    truth = {}
    for index in chosen:
        label = int(data.labels[index])
        given = (label + random_.choice([1, 2])) % 3 if index in wrong else label
        path = folder / f"d{given}" / f"{index}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(data.images[index, :, :, 0].numpy()).save(path)
        if index in wrong:
            truth[path.relative_to(folder).as_posix()] = label
    noise = np.random.default_rng(0).integers(0, 256, (8, 8), dtype=np.uint8)
    Image.fromarray(noise).save(folder / "d0" / "noise.png")
    return folder, set(truth), truth


@pytest.fixture(scope="module")
def run(folder, tmp_path_factory):
    runs = tmp_path_factory.mktemp("runs")
    return RunForTests(runs, f"data.path={folder[0]}", *SETTINGS, preset="folder").train()


@pytest.fixture(scope="module")
def found(run):
    return find_suspects(run.directory, None, no_progress)


def names(found, kind):
    (ranking,) = (each for each in found.rankings if each.images[0].kind == kind)
    return [found.data.name_of(image.image) for image in ranking.images]


def test_wrong_labels_are_the_first_suspects_of_a_run(run, folder):
    assert run.live_state.status == "done"
    suspects = read_suspects(run.directory)
    assert suspects.method == (
        "area under the margin over 8 epochs and predictions for the validation images"
    )
    first = suspects.suspects[:7]
    assert {suspect.name for suspect in first} <= folder[1]
    assert all(suspect.score > 0.7 and suspect.kind == "label" for suspect in first)
    truth = {suspect.name: folder[2][suspect.name] for suspect in first}
    assert {suspect.name: suspect.likely for suspect in first} == truth
    assert suspects.suspects[-1].score < 0.3
    assert (first[0].width, first[0].height, first[0].channels) == (8, 8, 1)


def test_training_and_validation_images_are_ranked_once(found, folder):
    data = found.data
    ranked, indices = names(found, "label"), [*data.train.tolist(), *data.val.tolist()]
    assert sorted(ranked) == sorted(map(data.name_of, indices))
    wrong = folder[1] & set(map(data.name_of, data.val.tolist()))
    assert wrong
    assert wrong < set(ranked[: 2 * WRONG])


def test_near_duplicates_have_other_labels(found, folder):
    ranking = next(each for each in found.rankings if each.images[0].kind == "duplicate")
    data = found.data
    for image in ranking.images:
        name = data.name_of(image.image)
        assert name[:2] != image.other[:2]
        assert image.likely == int(image.other[1])
        assert 0.97 <= image.score <= 1
    assert set(names(found, "duplicate")) & folder[1]


def test_noise_is_the_first_outlier(found):
    assert names(found, "outlier")[0] == "d0/noise.png"
    tested = {found.data.name_of(index) for index in found.data.test.tolist()}
    for kind in ("label", "duplicate", "outlier"):
        assert not tested.intersection(names(found, kind))


def test_marked_images_are_left_out_but_listed(run, folder):
    first = read_suspects(run.directory).suspects[0].name
    write_marks(folder[0], {first: Marked("keep")})
    try:
        found = find_suspects(run.directory, None, no_progress)
    finally:
        write_marks(folder[0], {})
    assert found.rows()[0].path == first
    assert found.rows()[0].mark == "keep"
    pictured = found.pictured()
    assert first not in {suspect.name for suspect in pictured.suspects}
    kinds = [suspect.kind for suspect in pictured.suspects]
    assert kinds == sorted(kinds, key=["label", "duplicate", "outlier"].index)
    assert len(kinds) == 300
    assert kinds.count("outlier") == 75
    assert all(suspect.heatmap is not None for suspect in pictured.suspects)


@pytest.fixture
def copy(run, tmp_path):
    """Return a copy of the run that a test may damage."""
    shutil.copytree(run.directory.path, tmp_path / "copy")
    return RunDirectory(tmp_path / "copy")


def test_run_without_record_has_no_ranking_of_labels(copy):
    (copy.path / MARGINS_FILE).unlink()
    (copy.path / VALIDATION_FILE).unlink()
    found = find_suspects(copy, None, no_progress)
    assert [ranking.images[0].kind for ranking in found.rankings] == ["duplicate", "outlier"]
    (notice,) = found.notices
    assert notice.startswith("labels are not ranked: run copy has no margins.bin")


def test_changed_labels_are_refused(copy, folder, tmp_path):
    moved = tmp_path / "moved"
    shutil.copytree(folder[0], moved)
    assert find_suspects(copy, str(moved), no_progress).rankings
    one, other = (sorted((moved / name).iterdir())[0] for name in ("d1", "d2"))
    one.rename(moved / "d2" / one.name)
    other.rename(moved / "d1" / other.name)
    with pytest.raises(DataError, match="the images or labels have changed since"):
        find_suspects(copy, str(moved), no_progress)


@pytest.mark.parametrize(
    ("content", "error", "text"),
    [
        (lambda old: old[:100], DataError, "is damaged"),
        (lambda old: old[:600], DataError, "has no finished epoch yet"),
        (lambda old: old.replace(b'"format":1', b'"format":2'), ConfigError, "newer version"),
        (lambda old: old.replace(b'"classes":3', b'"classes":1'), DataError, "does not fit"),
    ],
)
def test_damaged_record_is_refused(copy, content, error, text):
    path = copy.path / MARGINS_FILE
    path.write_bytes(content(path.read_bytes()))
    with pytest.raises(error, match=text):
        find_suspects(copy, None, no_progress)


def test_invalid_classes_in_the_record_are_ignored(copy):
    path = copy.path / MARGINS_FILE
    content = bytearray(path.read_bytes())
    content[512:] = b"\xff" * len(content[512:])
    path.write_bytes(content)
    found = find_suspects(copy, None, no_progress)
    labels, trained = found.data.labels.tolist(), set(found.data.train.tolist())
    images = [image for image in found.rankings[0].images if image.image in trained]
    assert all(image.likely == labels[image.image] for image in images)


def test_runs_of_a_group_are_joined(folder, tmp_path):
    """With other seeds, images are trained on in one run and validated on in another."""

    def train(*settings):
        run = RunForTests(tmp_path / "runs", preset="folder", *settings)  # noqa: B026
        request = Request.from_preset("folder", [*SMALL, *settings])
        run.engine = Engine(dataclasses.replace(request, group="g"), run.recorder)
        return run.train().directory

    settings = f"data.path={folder[0]}", *SETTINGS
    first, second = (train(*settings, f"train.seed={seed}") for seed in (1, 2))
    train(*settings, "train.epochs=1")  # another config, which does not count
    found = find_suspects(first, None, no_progress)
    assert found.rankings[0].method.endswith(", the mean of 2 runs")
    same = find_suspects(second, None, no_progress)
    scores = [
        {found.data.name_of(image.image): image.score for image in each.rankings[0].images}
        for each in (found, same)
    ]
    assert scores[0] == pytest.approx(scores[1])
    first_names = set(names(found, "label")[:WRONG])
    assert len(folder[1] & first_names) >= WRONG * 2 // 3
    (second.path / MARGINS_FILE).unlink()
    (second.path / VALIDATION_FILE).unlink()
    alone = find_suspects(first, None, no_progress)
    assert "the mean of" not in alone.rankings[0].method
    assert any(f"run {second.id} of the group is not used" in text for text in alone.notices)
