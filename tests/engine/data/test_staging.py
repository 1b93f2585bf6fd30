"""Staging of batches from the host to the device; in these tests the device is the CPU."""

import pytest
import torch

from cnn_engine.config.presets import load_config
from cnn_engine.data.augment.params import sample_params
from cnn_engine.data.dataset import load_dataset
from cnn_engine.data.loader import TensorLoader, epoch_order, make_loader
from cnn_engine.data.staging import AHEAD_BYTES, MAX_DEPTH, MIN_DEPTH, Staging
from cnn_engine.training.step_inputs import EpochPlans, StepInputs, plan_epoch
from runs_for_tests import RunForTests

CPU = torch.device("cpu")


def make_random_loader(count, side=4):
    """Return a loader of random images, whose labels are their indices."""
    images = torch.randint(256, (count, side, side, 3), dtype=torch.uint8)
    return TensorLoader(
        images=images,
        labels=torch.arange(count),
        scale=torch.ones(side, side, 3),
        shift=torch.zeros(side, side, 3),
        device=CPU,
    )


def test_batches_are_staged_in_order():
    loader = make_random_loader(50)
    order = torch.randperm(50)
    staging = Staging(loader, 8)
    staging.begin([*order.split(8)])
    for indices in order.split(8):
        staging.next()
        assert torch.equal(staging.images[: len(indices)], loader.images[indices])
    staging.close()


def test_interrupted_epoch_leaves_no_batches():
    loader = make_random_loader(400)
    staging = Staging(loader, 4)
    staging.begin([*torch.arange(400).split(4)])
    for _ in range(3):
        staging.next()
    order = torch.randperm(400)
    staging.begin([*order.split(4)])
    for indices in order.split(4):
        staging.next()
        assert torch.equal(staging.images, loader.images[indices])
    staging.close()


def test_prefetched_bytes_are_bounded():
    for side, depth in [
        (1, MAX_DEPTH),
        (2048, MIN_DEPTH),
        (512, AHEAD_BYTES // (512 * 512 * 3 * 8)),
    ]:
        loader = TensorLoader(
            images=torch.zeros(1, side, side, 3, dtype=torch.uint8),
            labels=torch.zeros(1, dtype=torch.int64),
            scale=torch.ones(1),
            shift=torch.zeros(1),
            device=CPU,
        )
        staging = Staging(loader, 8)
        assert len(staging._free) == depth
        staging.close()


@pytest.mark.parametrize("done", [0, 7])
def test_staged_steps_equal_steps_with_images_on_device(monkeypatch, done):
    config = load_config("digits", ["data.image_size=8", "augment.translate=2", "augment.cutout=2"])
    data = load_dataset(config.data, 0, lambda *_: None)
    loader = make_loader(CPU, data, config.data.mean, config.data.std)
    order = epoch_order(data.train, 0, 1)
    params = sample_params(config.augment, order, data.images, (0.5,), 0, 1)

    def train_inputs():
        inputs = StepInputs(loader, len(order), 64, params)
        inputs.begin_epoch(plan_epoch(order, params, 64), done)
        losses, batches = torch.zeros(18), []
        for size in [64] * (17 - done) + [63]:
            inputs.stage()
            batches.append([tensor.clone() for tensor in inputs.batch(size)])
            inputs.finish_step(losses, torch.tensor(1.0))
        inputs.close()
        assert losses.tolist() == [0.0] * done + [1.0] * (18 - done)
        return batches

    on_device = train_inputs()
    monkeypatch.setattr(TensorLoader, "is_staged", property(lambda _: True))
    for (images, labels), (staged_images, staged_labels) in zip(
        on_device, train_inputs(), strict=True
    ):
        assert torch.equal(images, staged_images)
        assert torch.equal(labels, staged_labels)


@pytest.mark.parametrize("settings", [(), ("augment.flip=alternating",), ("train.batch_size=100",)])
def test_run_with_staged_images_has_the_same_losses(tmp_path, monkeypatch, settings):
    def losses():
        run = RunForTests(tmp_path, "train.epochs=2", *settings).train()
        assert run.live_state.status == "done"
        return [(epoch.train_loss, epoch.val_loss) for epoch in run.live_state.epochs]

    on_device = losses()
    monkeypatch.setattr(TensorLoader, "is_staged", property(lambda _: True))
    assert losses() == on_device


def test_plans_made_ahead_equal_plans_made_on_demand():
    order = torch.arange(10)
    plans = EpochPlans(lambda epoch: plan_epoch(order + epoch, None, 4), ahead=True)
    for epoch in (1, 2, 3, 7, 8, 2):  # in order, then elsewhere, as after a rollback
        plan = plans.get(epoch)
        assert torch.equal(plan.order, order + epoch)
        assert torch.equal(plan.table[:2, 0], (order + epoch)[:8].view(2, 4))
    plans.close()
