"""Augmentation of training images, checked pixel by pixel."""

import hashlib
from itertools import pairwise

import pytest
import torch
from torch.nn.functional import pad

from cnn_engine.config.schema import AugmentConfig
from cnn_engine.data.augment.params import AugmentParams, sample_params
from cnn_engine.data.loader import epoch_order
from cnn_engine.runlog import events
from runs_for_tests import RunForTests

SIZE, COUNT = 8, 60
IMAGES = torch.randint(
    256, (COUNT, SIZE, SIZE, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1)
)
ALL_INDICES = torch.arange(COUNT)
GREY = (0.5,)


def sampled(epoch=1, seed=0, order=ALL_INDICES, **config):
    return sample_params(AugmentConfig(**config), order, IMAGES, GREY, seed, epoch)


def params_of_one(*, flip=False, cutout_size=0, **values):
    names = ("shift_y", "shift_x", "cutout_y", "cutout_x")
    return AugmentParams(
        flip=torch.tensor([flip]),
        **{name: torch.tensor([values.get(name, 0)]) for name in names},
        cutout_size=cutout_size,
        fill=torch.tensor([1, 2, 3], dtype=torch.uint8),
    )


def augmented(params, image):
    return params.apply(image[None], torch.tensor([0]))[0]


def test_default_config_changes_nothing():
    assert sampled() is None
    assert torch.equal(augmented(params_of_one(), IMAGES[0]), IMAGES[0])


def test_flip_mirrors_horizontally():
    assert torch.equal(augmented(params_of_one(flip=True), IMAGES[0]), IMAGES[0].flip(1))


@pytest.mark.parametrize("shift_y", [-2, 0, 1])
@pytest.mark.parametrize("shift_x", [-1, 0, 2])
def test_shift_equals_crop_of_reflection_padded_image(shift_y, shift_x):
    planes = IMAGES[:1].permute(0, 3, 1, 2).float()
    padded = pad(planes, (2, 2, 2, 2), mode="reflect").permute(0, 2, 3, 1)[0]
    expected = padded[2 - shift_y : 2 - shift_y + SIZE, 2 - shift_x : 2 - shift_x + SIZE].byte()
    params = params_of_one(shift_y=shift_y, shift_x=shift_x)
    assert torch.equal(augmented(params, IMAGES[0]), expected)


def test_cutout_fills_only_the_square():
    result = augmented(params_of_one(cutout_y=5, cutout_x=1, cutout_size=3), IMAGES[0])
    expected = IMAGES[0].clone()
    expected[5:8, 1:4] = torch.tensor([1, 2, 3], dtype=torch.uint8)
    assert torch.equal(result, expected)


def test_batch_equals_images_augmented_one_by_one():
    order = torch.tensor([7, 3, 7])
    params = sampled(order=order, flip="random", translate=2, cutout=3)
    batch = params.apply(IMAGES, order)
    for position, image in enumerate(order.tolist()):
        single = params.unpack(params.pack()[:, position : position + 1])
        assert torch.equal(batch[position], single.apply(IMAGES, torch.tensor([image]))[0])


def test_pixels_and_random_stream_do_not_change_between_versions():
    order = torch.randperm(COUNT, generator=torch.Generator().manual_seed(3))
    digest = hashlib.sha256()
    for flip in ("none", "random", "alternating"):
        for translate, cutout in ((0, 0), (2, 0), (0, 3), (2, 3)):
            for seed, epoch in ((0, 1), (7, 2), (2**31, 3)):
                config = {"flip": flip, "translate": translate, "cutout": cutout}
                params = sampled(epoch, seed, order, **config)
                if params is not None:
                    digest.update(params.apply(IMAGES, order).numpy().tobytes())
    assert digest.hexdigest() == "ee1da10c295577c833e08dd7b6a985cb3163cb094f5e0dab578b7a855bd19b5e"


def test_params_are_uniform_over_their_range():
    order = torch.zeros(20_000, dtype=torch.int64)
    params = sampled(order=order, flip="random", translate=2, cutout=3)
    assert params.flip.float().mean().item() == pytest.approx(0.5, abs=0.02)
    for values in (params.shift_y, params.shift_x):
        assert_uniform(values, range(-2, 3))
    for values in (params.cutout_y, params.cutout_x):
        assert_uniform(values, range(SIZE - 3 + 1))


def assert_uniform(values, allowed):
    found, counts = values.unique(return_counts=True)
    assert found.tolist() == list(allowed)
    for count in counts.tolist():
        assert count / len(values) == pytest.approx(1 / len(allowed), rel=0.1)


def test_params_depend_only_on_seed_and_epoch():
    config = {"flip": "random", "translate": 2, "cutout": 3}
    torch.manual_seed(1)
    first = sampled(**config).pack()
    torch.manual_seed(2)
    again = sampled(**config).pack()
    other_epoch, other_seed = sampled(epoch=2, **config).pack(), sampled(seed=1, **config).pack()
    assert torch.equal(first, again)
    assert not any(map(torch.equal, first, other_epoch))
    assert not any(map(torch.equal, first, other_seed))


def test_alternating_flip_shows_both_orientations_in_two_epochs():
    orders = [
        torch.randperm(COUNT, generator=torch.Generator().manual_seed(epoch)) for epoch in range(5)
    ]
    flips = []
    for epoch, order in enumerate(orders, start=1):
        by_image = torch.empty(COUNT, dtype=torch.bool)
        by_image[order] = sampled(epoch=epoch, order=order, flip="alternating").flip
        flips.append(by_image)
    assert 0.3 < flips[0].float().mean().item() < 0.7
    for before, after in pairwise(flips):
        assert torch.equal(before, ~after)


def test_validation_and_test_images_are_not_augmented(tmp_path, monkeypatch):
    augmented_count = 0
    real = AugmentParams.apply

    def apply_and_count(params, images, indices):
        nonlocal augmented_count
        augmented_count += len(indices)
        return real(params, images, indices)

    monkeypatch.setattr(AugmentParams, "apply", apply_and_count)
    run = RunForTests(tmp_path, "train.epochs=2", "augment.flip=random").train()
    assert run.live_state.status == "done"
    assert augmented_count == 2 * run.live_state.prepared.train_images


@pytest.mark.parametrize("setting", ["augment.translate=8", "augment.cutout=8"])
def test_augmentation_larger_than_image_is_refused(tmp_path, setting):
    run = RunForTests(tmp_path, setting).train()
    assert run.engine.exit_code == 2
    assert run.live_state.finished.error.startswith(setting.partition("=")[0] + ": ")


def test_augmentation_changes_the_first_losses(tmp_path):
    def first_loss(*settings):
        run = RunForTests(tmp_path, "train.epochs=1", *settings).train()
        steps = [event for event in run.events() if isinstance(event, events.StepsFinished)]
        return steps[0].loss

    assert first_loss() != first_loss("augment.translate=2")


def test_epoch_order_differs_by_seed_and_epoch():
    orders = {
        tuple(epoch_order(torch.arange(50), seed, epoch).tolist())
        for seed in (0, 1, 2, 2**31)
        for epoch in (1, 2, 3)
    }
    assert len(orders) == 12
