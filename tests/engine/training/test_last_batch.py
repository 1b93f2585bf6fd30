"""An epoch whose last batch would be a single image, from which batch norm gets no variance."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cnn_engine.data.loader import train_batch_sizes
from cnn_engine.training.step_inputs import plan_epoch
from runs_for_tests import RunForTests, events_of

CODE = """
from torch import nn

def Norm1d(*, channels, image_size, class_count):
    return nn.Sequential(
        nn.Conv2d(channels, 4, image_size), nn.Flatten(), nn.BatchNorm1d(4), nn.ReLU(),
        nn.Linear(4, class_count),
    )
"""


@given(st.integers(1, 500), st.integers(1, 100))
def test_no_batch_is_a_single_image_unless_unavoidable(count, batch_size):
    sizes = train_batch_sizes(count, batch_size)
    assert sum(sizes) == count
    assert max(sizes) <= max(3, batch_size)
    if count > 1 and batch_size > 1:
        assert min(sizes) >= 2
    plan = plan_epoch(torch.arange(count), None, batch_size)
    assert plan.sizes == sizes
    rows = [row[0, :size] for row, size in zip(plan.table, sizes, strict=True)]
    assert torch.equal(torch.cat(rows), torch.arange(count))


@pytest.fixture
def user_dir(tmp_path, write_module):
    write_module("normnet", CODE)
    return tmp_path


ON_SINGLE_PIXELS = ("model.name=whitened", "model.filters=[8, 8]")
"""A network whose last batch norm is over maps of 1×1 pixels."""


@pytest.mark.parametrize("network", [ON_SINGLE_PIXELS, ("model.name='normnet:Norm1d'",)])
@pytest.mark.parametrize("batch_size", [2, 61, 244])
def test_batch_norm_trains_and_validates_with_one_image_left(
    user_dir, monkeypatch, network, batch_size
):
    """A last batch of one image does not end training (pytorch/pytorch#4534)."""
    # 245 images are trained on; of 1,193 one is left for the last batch of a validation.
    monkeypatch.setattr("cnn_engine.evaluation.evaluate.EVALUATION_PIXELS", {"cpu": 149 * 8 * 8})
    settings = (f"train.batch_size={batch_size}", "train.epochs=1", "augment.translate=1")
    settings += ("data.validation_fraction=0.83",)
    run = RunForTests(user_dir / "runs", *network, *settings).train()
    state = run.live_state
    assert state.status == "done", state.finished
    steps = events_of(run.directory, type(state.recent[-1]))
    assert sum(event.images for event in steps) == state.prepared.train_images == 245
    assert sum(state.epochs[0].total) == 1193


@pytest.mark.parametrize("network", [ON_SINGLE_PIXELS, ("model.name='normnet:Norm1d'",)])
def test_batches_of_one_image_are_refused_with_batch_norm(user_dir, network):
    run = RunForTests(user_dir / "runs", *network, "train.batch_size=1").train()
    finished = run.live_state.finished
    assert finished.exit_code == 2
    assert "fails on a batch of one image" in finished.error
    assert "use a larger train.batch_size" in finished.error
    assert run.live_state.epoch == 0
