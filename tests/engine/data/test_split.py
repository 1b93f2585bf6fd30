"""Splits into training, validation and test images, also those of earlier versions."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError

from cnn_engine.config.schema import DataConfig
from cnn_engine.data.raw import RawImages
from cnn_engine.data.split import TEST_SEED, split
from cnn_engine.data.split_sizes import held_out_counts
from cnn_engine.errors import ConfigError, DataError
from cnn_engine.inference.retest import retest
from cnn_engine.runlog.events import RunStarted
from golden import rewrite_events
from photos_for_tests import load_folder, save_images
from runs_for_tests import RunForTests


def raw_images(*class_counts):
    """Return images of classes with the given numbers of images."""
    labels = np.repeat(np.arange(len(class_counts)), class_counts)
    return RawImages(
        images=np.zeros((len(labels), 8, 8, 1), np.uint8),
        labels=labels,
        classes=tuple(map(str, range(len(class_counts)))),
        train_count=len(labels),
        source="",
    )


def per_class(raw, indices):
    return np.bincount(raw.labels[indices.numpy()], minlength=len(raw.classes)).tolist()


@given(
    st.lists(st.integers(0, 40), min_size=1, max_size=8), st.floats(0.01, 0.9), st.integers(1, 3)
)
def test_held_out_counts_are_bounded(counts, fraction, reserve):
    held_out = held_out_counts(counts, fraction, reserve)
    if not any(held_out):
        return
    needs_more = sum(count * fraction < 1 for count in counts)  # at least one image of a class
    assert sum(held_out) <= int(sum(counts) * fraction) + needs_more
    for count, taken in zip(counts, held_out, strict=True):
        assert taken == 0 if count <= reserve else 1 <= taken <= count - reserve
        assert taken <= max(1, count * fraction + 1)


@given(st.lists(st.integers(3, 60), min_size=2, max_size=6), st.integers(0, 2**31))
def test_each_class_of_three_images_is_in_each_part(counts, seed):
    """Small classes have images in each part (piximi#261, facebookresearch/DomainBed#133)."""
    raw, config = raw_images(*counts), DataConfig(source="digits")
    parts = split(raw, config, seed)
    indices = torch.cat([parts.train, parts.val, parts.test])
    assert sorted(indices.tolist()) == list(range(sum(counts)))
    for part in (parts.train, parts.val, parts.test):
        assert min(per_class(raw, part)) > 0
    again, other = split(raw, config, seed), split(raw, config, seed + 1)
    assert torch.equal(again.val, parts.val)
    assert torch.equal(other.test, parts.test)


def test_split_keeps_class_proportions():
    raw = raw_images(100, 50, 10)
    parts = split(raw, DataConfig(source="digits"), 0)
    assert per_class(raw, parts.test) == [20, 10, 2]
    assert per_class(raw, parts.val) == [16, 8, 1]
    without = split(raw, DataConfig(source="digits", validation_fraction=0.0), 0)
    assert per_class(raw, without.train) == [80, 40, 8]


@pytest.mark.parametrize("fraction", [0.2, 0.0])
def test_first_rules_draw_the_split_of_earlier_versions(fraction):
    raw = raw_images(30, 20)
    config = DataConfig(source="digits", rules=1, validation_fraction=fraction)
    parts = split(raw, config, 7)
    order = torch.randperm(50, generator=torch.Generator().manual_seed(TEST_SEED))
    assert torch.equal(parts.test, order[40:])
    rest = order[:40][torch.randperm(40, generator=torch.Generator().manual_seed(7))]
    cut = 40 - int(40 * fraction)
    assert torch.equal(parts.train, rest[:cut])
    assert torch.equal(parts.val, rest[cut:])


def test_run_of_an_earlier_version_keeps_its_images(tmp_path):
    photos = tmp_path / "photos"
    for folder in ("train/cat", "train/dog", "val/cat", "val/dog", "train/cat/.thumbnails"):
        save_images(photos / folder)
    Image.new("RGB", (16, 16)).save(photos / "train" / "cat" / "0.jfif", "JPEG")
    settings = (f"data.path={photos}", "data.rules=1", "train.epochs=1")
    run = RunForTests(tmp_path / "runs", *settings, preset="folder").train()

    def without_rules(event):
        if isinstance(event, RunStarted):
            del event.config["data"]["rules"]
        return event

    rewrite_events(run.directory, without_rules)
    assert retest(run.directory, None, lambda *_: None).is_equal
    run.resume(epochs=2)
    assert run.live_state.status == "done", run.live_state.finished.error
    prepared = run.live_state.prepared
    assert prepared.train_images + prepared.val_images + prepared.test_images == 30


def folds_of(raw, folds):
    configs = [DataConfig(source="digits", folds=folds, fold=fold) for fold in range(1, folds + 1)]
    return [split(raw, config, seed=fold) for fold, config in enumerate(configs)]


@given(st.lists(st.integers(5, 40), min_size=2, max_size=6), st.integers(2, 5))
def test_each_training_image_is_validated_by_one_fold(counts, folds):
    raw = raw_images(*counts)
    parts = folds_of(raw, folds)
    for part in parts:
        assert torch.equal(part.test, parts[0].test)
        together = torch.cat([part.train, part.val, part.test])
        assert together.sort().values.tolist() == list(range(sum(counts)))
    validated = torch.cat([part.val for part in parts])
    assert sorted(validated.tolist()) == sorted(parts[0].train.tolist() + parts[0].val.tolist())
    sizes = [len(part.val) for part in parts]
    assert max(sizes) - min(sizes) <= 1
    for numbers in zip(*(per_class(raw, part.val) for part in parts), strict=True):
        assert max(numbers) - min(numbers) <= 1


def test_folds_leave_the_test_images_of_other_runs():
    raw = raw_images(30, 20)
    usual = split(raw, DataConfig(source="digits"), 0)
    assert torch.equal(folds_of(raw, 3)[0].test, usual.test)


def test_only_image_of_a_class_is_never_validated():
    raw = raw_images(10, 1)
    for part in folds_of(raw, 3):
        assert per_class(raw, part.train)[1] == 1
        assert len(part.val)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"folds": 3}, "folds: needs fold; or train all with cnn-tui run --folds N"),
        ({"fold": 3}, "fold: needs folds"),
        ({"folds": 3, "fold": 4}, "fold: 4 is more than the 3 of data.folds"),
        ({"folds": 3, "fold": 1, "validation_fraction": 0.0}, "validation_fraction = 0 turns off"),
    ],
)
def test_invalid_folds_are_refused(values, message):
    with pytest.raises(ValidationError, match=message):
        DataConfig(source="digits", **values)


def test_folds_that_the_images_do_not_allow_are_refused(tmp_path):
    for part in ("train", "val"):
        for name in ("cat", "dog"):
            save_images(tmp_path / "given" / part / name)
    with pytest.raises(ConfigError, match="has its own validation images"):
        load_folder(tmp_path / "given", folds=2, fold=1)
    for name in ("cat", "dog"):
        save_images(tmp_path / "few" / name, 3)
    with pytest.raises(DataError, match=r"4 training images are too few for data\.folds = 9"):
        load_folder(tmp_path / "few", folds=9, fold=1)
    assert load_folder(tmp_path / "few", folds=3, fold=1).notices == (
        "2 classes have fewer images than the 3 folds (cat, dog): some folds do not validate them; "
        "use fewer folds, or add images",
    )


def test_classes_missing_in_a_part_are_reported_before_training(tmp_path):
    """A class without test images is named before training (alteryx/evalml#760)."""
    for name, count in (("cat", 30), ("dog", 30), ("emu", 2), ("fox", 1)):
        save_images(tmp_path / name, count)
    assert load_folder(tmp_path).notices == (
        "class fox has no validation image; add images",
        "2 classes have no test image (emu, fox); add images",
    )
