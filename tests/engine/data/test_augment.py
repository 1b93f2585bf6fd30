"""What becomes of training images, pixel by pixel."""

from itertools import pairwise

import pytest
import torch
from torch.nn.functional import pad

from cnn_engine.config.schema import AugmentConfig
from cnn_engine.data.augment import Views, epoch_views
from cnn_engine.data.loader import epoch_order
from cnn_engine.runlog import events
from runs_for_tests import RunForTests

SIZE, COUNT = 8, 60
IMAGES = torch.randint(
    256, (COUNT, SIZE, SIZE, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1)
)
EVERY = torch.arange(COUNT)
GREY = (0.5,)


def views(epoch=1, seed=0, order=EVERY, **config):
    return epoch_views(AugmentConfig(**config), order, IMAGES, GREY, seed, epoch)


def one_view(*, flipped=False, down=0, right=0, top=0, left=0, side=0):
    values = (torch.tensor([value]) for value in (down, right, top, left))
    names = ("down", "right", "top", "left")
    return Views(
        flipped=torch.tensor([flipped]),
        **dict(zip(names, values, strict=True)),
        side=side,
        fill=torch.tensor([1, 2, 3], dtype=torch.uint8),
    )


def seen(view, image):
    return view.of(image[None], torch.tensor([0]))[0]


def test_without_settings_images_are_as_they_are():
    assert views() is None
    assert torch.equal(seen(one_view(), IMAGES[0]), IMAGES[0])


def test_a_flip_exchanges_left_and_right():
    assert torch.equal(seen(one_view(flipped=True), IMAGES[0]), IMAGES[0].flip(1))


@pytest.mark.parametrize("down", [-2, 0, 1])
@pytest.mark.parametrize("right", [-1, 0, 2])
def test_a_moved_image_is_a_crop_of_one_that_is_padded_with_its_mirror_image(down, right):
    planes = IMAGES[:1].permute(0, 3, 1, 2).float()
    padded = pad(planes, (2, 2, 2, 2), mode="reflect").permute(0, 2, 3, 1)[0]
    expected = padded[2 - down : 2 - down + SIZE, 2 - right : 2 - right + SIZE].byte()
    assert torch.equal(seen(one_view(down=down, right=right), IMAGES[0]), expected)


def test_a_square_is_cut_out_and_nothing_else():
    result = seen(one_view(top=5, left=1, side=3), IMAGES[0])
    expected = IMAGES[0].clone()
    expected[5:8, 1:4] = torch.tensor([1, 2, 3], dtype=torch.uint8)
    assert torch.equal(result, expected)


def test_each_image_has_its_own_view():
    order = torch.tensor([7, 3, 7])
    batch = views(order=order, flip="random", translate=2, cutout=3)
    together = batch.of(IMAGES, order)
    for place, image in enumerate(order.tolist()):
        alone = batch.with_rows(batch.rows()[:, place : place + 1]).of(
            IMAGES, torch.tensor([image])
        )
        assert torch.equal(together[place], alone[0])


def test_draws_are_evenly_spread_over_all_that_is_allowed():
    order = torch.zeros(20_000, dtype=torch.int64)
    drawn = views(order=order, flip="random", translate=2, cutout=3)
    assert drawn.flipped.float().mean().item() == pytest.approx(0.5, abs=0.02)
    for values, allowed in [(drawn.down, range(-2, 3)), (drawn.right, range(-2, 3))]:
        assert_even(values, allowed)
    for values in (drawn.top, drawn.left):
        assert_even(values, range(SIZE - 3 + 1))


def assert_even(values, allowed):
    found, counts = values.unique(return_counts=True)
    assert found.tolist() == list(allowed)
    for count in counts.tolist():
        assert count / len(values) == pytest.approx(1 / len(allowed), rel=0.1)


def test_draws_depend_on_seed_and_epoch_and_on_nothing_else():
    settings = {"flip": "random", "translate": 2, "cutout": 3}
    torch.manual_seed(1)
    first = views(**settings)
    torch.manual_seed(2)
    again, epoch, seed = views(**settings), views(epoch=2, **settings), views(seed=1, **settings)
    for name in ("flipped", "down", "right", "top", "left"):
        assert torch.equal(getattr(first, name), getattr(again, name))
        assert not torch.equal(getattr(first, name), getattr(epoch, name))
        assert not torch.equal(getattr(first, name), getattr(seed, name))


def test_alternating_flips_show_each_image_both_ways_in_any_two_epochs():
    orders = [torch.randperm(COUNT, generator=torch.Generator().manual_seed(e)) for e in range(5)]
    flipped = []
    for epoch, order in enumerate(orders, start=1):
        by_image = torch.empty(COUNT, dtype=torch.bool)
        by_image[order] = views(epoch=epoch, order=order, flip="alternating").flipped
        flipped.append(by_image)
    assert 0.3 < flipped[0].float().mean().item() < 0.7
    for before, after in pairwise(flipped):
        assert torch.equal(before, ~after)


def test_what_is_judged_by_is_never_changed(tmp_path, monkeypatch):
    changed = 0
    real = Views.of

    def counted(view, images, chosen):
        nonlocal changed
        changed += len(chosen)
        return real(view, images, chosen)

    monkeypatch.setattr(Views, "of", counted)
    run = RunForTests(tmp_path, "train.epochs=2", "augment.flip=random").train()
    assert run.live_state.status == "done"
    assert changed == 2 * run.live_state.prepared.train_images


@pytest.mark.parametrize("setting", ["augment.translate=8", "augment.cutout=8"])
def test_what_images_are_too_small_for_is_refused(tmp_path, setting):
    run = RunForTests(tmp_path, setting).train()
    assert run.engine.exit_code == 2
    assert run.live_state.finished.error.startswith(setting.partition("=")[0] + ": ")


def test_training_sees_them(tmp_path):
    """The same seed with and without: the first steps' losses differ."""

    def first_loss(*settings):
        run = RunForTests(tmp_path, "train.epochs=1", *settings).train()
        steps = [event for event in run.events() if isinstance(event, events.StepsFinished)]
        return steps[0].loss

    assert first_loss() != first_loss("augment.translate=2")


def test_the_order_of_an_epoch_is_another_for_each_seed_and_epoch():
    orders = {
        tuple(epoch_order(torch.arange(50), seed, epoch).tolist())
        for seed in (0, 1, 2, 2**31)
        for epoch in (1, 2, 3)
    }
    assert len(orders) == 12
