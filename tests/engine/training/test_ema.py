"""Weight averages: EMA and lookahead."""

import pytest
import torch
from torch import nn

from cnn_engine.checkpoints import checkpoint
from cnn_engine.config.presets import load_config
from cnn_engine.config.schema import AverageConfig
from cnn_engine.data.dataset import load_dataset
from cnn_engine.inference.trained import load_trained_model
from cnn_engine.training.ema import WeightEMA
from cnn_engine.training.flat_parameters import FlatParameters
from runs_for_tests import SMALL, RunForTests


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(2, 2))


@pytest.mark.parametrize("low_precision", [None, torch.bfloat16])
def test_ema_matches_definition(low_precision):
    model = network()
    weights = FlatParameters(model, low_precision)
    average = WeightEMA(AverageConfig(kind="ema", decay=0.3, every=2), model, weights)
    expected = torch.cat([weights.flat.detach(), model[1].running_mean, model[1].running_var])
    for step, decay in [(1, None), (2, 2 / 11), (3, None), (4, 3 / 12), (5, None), (6, 0.3)]:
        with torch.no_grad():
            for values in (weights.flat, model[1].running_mean, model[1].running_var):
                values.add_(step)
        if average.is_due():
            average.update(torch.tensor(average.weight(1, progress=step / 6)))
        average.steps += 1
        current = torch.cat([weights.flat.detach(), model[1].running_mean, model[1].running_var])
        if decay is not None:
            expected = decay * expected + (1 - decay) * current
    before = {name: values.clone() for name, values in weights.state_dict().items()}
    with average.applied():
        applied = torch.cat([weights.flat.detach(), model[1].running_mean, model[1].running_var])
        torch.testing.assert_close(applied, expected)
    for name, values in weights.state_dict().items():
        assert torch.equal(values, before[name])


def test_lookahead_continues_from_average():
    model = network()
    weights = FlatParameters(model, None)
    average = WeightEMA(AverageConfig(kind="lookahead", decay=0.8, every=1), model, weights)
    expected = weights.flat.detach().clone()
    for progress in (0.25, 0.5, 1.0):
        with torch.no_grad():
            weights.flat += 1
        average.update(torch.tensor(average.weight(1, progress)))
        average.steps += 1
        expected = expected + (1 - 0.8 * progress**3)
        torch.testing.assert_close(weights.flat.detach(), expected)
        with average.applied():
            torch.testing.assert_close(weights.flat.detach(), expected)


def test_average_is_saved_as_best_and_used_in_the_test(tmp_path):
    run = RunForTests(tmp_path, "train.epochs=2", "average.kind=ema", "average.decay=0.9").train()
    best, last = (
        checkpoint.load(run.directory.path / file, torch.device("cpu"))
        for file in ("best.pt", "last.pt")
    )
    assert run.live_state.best.epoch == best["epoch"] == 2
    for name, average in last["average"]["model"].items():
        assert torch.equal(best["model"][name], average)
    trained, data = load_trained_model(run.directory), run_data()
    is_correct = trained.logits(data.images[data.test]).argmax(1) == data.labels[data.test]
    assert int(is_correct.sum()) == pytest.approx(sum(run.live_state.test.correct), abs=2)
    assert any(not torch.equal(best["model"][name], plain) for name, plain in last["model"].items())


def run_data():
    config = load_config("digits", SMALL)
    return load_dataset(config.data, config.train.seed, lambda *_: None)


def test_slow_average_stays_at_chance(tmp_path):
    settings = ("average.kind=ema", "average.decay=0.9999999", "average.every=1000")
    run = RunForTests(tmp_path, "train.epochs=3", *settings).train()
    plain = RunForTests(tmp_path, "train.epochs=3").train()
    assert run.live_state.epochs[-1].train_loss == plain.live_state.epochs[-1].train_loss
    assert run.live_state.best.val_accuracy < 0.3 < plain.live_state.best.val_accuracy
