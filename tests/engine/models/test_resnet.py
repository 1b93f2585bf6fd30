"""The residual network, and checkpoints with old names of its weights."""

import pytest
import torch

from cnn_engine.checkpoints import checkpoint
from cnn_engine.checkpoints.format import Position
from cnn_engine.config.schema import ModelConfig
from cnn_engine.inference.trained import load_trained_model
from cnn_engine.models.build import build_model, count_parameters
from cnn_engine.runlog.events import CheckpointSaved
from runs_for_tests import RunForTests, last_weights

CPU = torch.device("cpu")

RESNET = ("model.name=resnet", "model.filters=[8, 16]", "train.batch_size=256")


def resnet(size, **changes):
    config = ModelConfig(**{"name": "resnet", "filters": (4, 8, 16)} | changes)
    return build_model(config, 3, size, 5).eval()


@pytest.mark.parametrize(("size", "side"), [(8, 8), (32, 32), (64, 64), (96, 48), (224, 56)])
def test_resnet_takes_any_size_and_its_stem_halves_large_images(size, side):
    model = resnet(size)
    images = torch.randn(2, 3, size, size)
    assert model.stem(images).shape == (2, 4, side, side)
    assert model(images).shape == (2, 5)
    assert count_parameters(model) == count_parameters(resnet(32))


def test_resnet_blocks_start_as_identity():
    model = resnet(16, blocks=3)
    assert [len(stage) for stage in model.stages] == [3, 3, 3]
    maps = torch.rand(1, 4, 16, 16)
    assert torch.equal(model.stages[0](maps), maps)


def stop_within_epoch(run):
    """Train, and send a stop command after a checkpoint within the second epoch."""
    run.recorder.record, record = (
        lambda event: (
            record(event),
            isinstance(event, CheckpointSaved)
            and event.reason == "last"
            and event.epoch == 2
            and run.send("stop"),
        ),
        run.recorder.record,
    )
    run.train()
    assert run.live_state.status == "stopped"


def test_resume_of_a_resnet_is_bitwise_equal(tmp_path):
    short = (*RESNET, "train.epochs=3", "train.checkpoint_seconds=1e-9")
    uninterrupted = RunForTests(tmp_path, *short).train()
    interrupted = RunForTests(tmp_path, *short)
    stop_within_epoch(interrupted)
    interrupted.resume()
    assert interrupted.live_state.status == "done"
    expected, resumed = last_weights(uninterrupted.directory), last_weights(interrupted.directory)
    assert expected.keys() == resumed.keys()
    assert any(name.endswith("running_var") for name in resumed)
    assert all(torch.equal(expected[name], resumed[name]) for name in expected)
    assert [epoch.val_loss for epoch in uninterrupted.live_state.epochs] == [
        epoch.val_loss for epoch in interrupted.live_state.epochs
    ]


def with_old_names(content):
    """Return a checkpoint's content with the old names of a resnet's weights."""
    if not isinstance(content, dict):
        return content
    return {
        key.replace(".residual.", ".way.").replace(".shortcut.", ".past."): with_old_names(value)
        for key, value in content.items()
    }


def test_checkpoints_with_old_weight_names_resume_and_load(tmp_path):
    settings = (*RESNET, "train.epochs=2", "average.kind=ema")
    current, old = (RunForTests(tmp_path, *settings) for _ in range(2))
    for run in (current, old):
        run.train()
    for name in ("last.pt", "best.pt"):
        path = old.directory.path / name
        content = with_old_names(checkpoint.load(path, CPU))
        assert any(".way." in key for key in content["model"])
        position = Position(content["epoch"] + 1, 0)
        checkpoint.save(path, content, position)
    logits = [
        load_trained_model(run.directory).logits(torch.ones(3, 8, 8, 1, dtype=torch.uint8))
        for run in (current, old)
    ]
    assert torch.equal(*logits)
    for run in (current, old):
        run.resume(epochs=3)
        assert run.live_state.status == "done"
    expected, resumed = last_weights(current.directory), last_weights(old.directory)
    assert expected.keys() == resumed.keys()
    assert all(torch.equal(expected[name], resumed[name]) for name in expected)


def test_state_dicts_with_old_weight_names_load():
    model, other = resnet(16), resnet(16)
    other.load_state_dict(with_old_names(model.state_dict()))
    images = torch.randn(2, 3, 16, 16)
    assert torch.equal(model(images), other(images))
