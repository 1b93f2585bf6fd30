"""Training state: learning rate, rollback and checkpoints while the average is applied."""

import pytest
import torch

from cnn_engine.checkpoints import checkpoint
from cnn_engine.checkpoints.format import LAST_FILE
from cnn_engine.data.dataset import load_dataset
from cnn_engine.errors import ConfigError
from cnn_engine.training.control import Control
from cnn_engine.training.trainer import Trainer
from runs_for_tests import RunForTests

CPU = torch.device("cpu")


@pytest.fixture
def trainer_for(tmp_path):
    """Return a function that builds a trainer of a new run with these settings."""
    trainers = []

    def build(*settings):
        run = RunForTests(tmp_path, *settings)
        config = run.engine._request.config
        data = load_dataset(config.data, config.train.seed, lambda *_: None)
        trainer = Trainer(config, data, run.recorder, Control(run.recorder))
        trainers.append(trainer)
        return trainer

    yield build
    for trainer in trainers:
        trainer.close()


def finish_epochs(trainer, epochs):
    """Set the counters to the end of this epoch, without training."""
    trainer.progress.epoch, trainer.progress.step = epochs, trainer.state.steps_per_epoch


def test_lr_command_scales_base_lr(trainer_for):
    trainer = trainer_for("train.epochs=4", "schedule.shape=linear", "optimizer.lr=0.1")
    finish_epochs(trainer, 2)
    assert trainer.lr == pytest.approx(0.05)
    trainer.lr = 0.02
    assert trainer.lr == pytest.approx(0.02)
    assert trainer.learner.optimizer.base_lr == pytest.approx(0.04)


def test_lr_cannot_be_set_once_the_schedule_has_reached_zero(trainer_for):
    trainer = trainer_for("train.epochs=4", "schedule.shape=linear", "optimizer.lr=0.1")
    finish_epochs(trainer, 4)
    with pytest.raises(ConfigError, match="the schedule has reduced the learning rate to 0"):
        trainer.lr = 0.02
    trainer.epochs = 8
    trainer.lr = 0.02
    assert trainer.lr == pytest.approx(0.02)


def test_rollback_halves_base_lr_on_a_schedule(trainer_for):
    trainer = trainer_for("train.epochs=4", "schedule.shape=linear", "optimizer.lr=0.1")
    finish_epochs(trainer, 4)  # the scheduled learning rate is 0
    trainer._roll_back("training loss became nan")
    assert trainer.learner.optimizer.base_lr == pytest.approx(0.05)
    assert trainer.progress.rollbacks == 1
    assert trainer.lr == pytest.approx(0.05)


def test_checkpoint_during_validation_has_trained_weights(trainer_for):
    trainer = trainer_for("train.epochs=2", "average.kind=ema", "average.decay=0.9")
    trainer.begin_epoch()
    trainer.train_epoch()
    learner = trainer.learner
    trained = {name: values.clone() for name, values in learner.weights.state_dict().items()}
    averaged = learner.ema.state_dict()["model"]
    with learner.averaged():
        trainer.save_checkpoint()
        applied = {name: values.clone() for name, values in learner.weights.state_dict().items()}
    saved = checkpoint.load(trainer.recorder.run.path / LAST_FILE, CPU)
    for name, values in trained.items():
        assert torch.equal(saved["model"][name], values), name
        assert torch.equal(saved["average"]["model"][name], averaged[name]), name
        assert torch.equal(applied[name], averaged[name]), name
    assert any(not torch.equal(trained[name], averaged[name]) for name in trained)
