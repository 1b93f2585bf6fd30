"""Class weights of the loss."""

import copy

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch.nn.functional import cross_entropy

from cnn_engine.data.dataset import load_dataset
from cnn_engine.training.control import Control
from cnn_engine.training.trainer import Trainer
from runs_for_tests import RunForTests


def test_balanced_class_weights_match_scikit_learn(tmp_path):
    run = RunForTests(tmp_path, "train.class_weights=balanced", "train.precision=fp32")
    config = run.engine._request.config
    data = load_dataset(config.data, 0, lambda *_: None)
    trainer = Trainer(config, data, run.recorder, Control(run.recorder))
    learner = trainer.learner
    labels = data.labels[data.train].numpy()
    expected = compute_class_weight("balanced", classes=np.arange(10), y=labels)
    assert learner.class_weights.tolist() == pytest.approx(expected.tolist())
    images, targets = next(trainer.state.loader.batches(data.train[:64], 64))
    reference = copy.deepcopy(learner.model)
    torch.manual_seed(3)  # the same dropout in both
    losses = cross_entropy(reference(images), targets, reduction="none")
    weight = learner.class_weights[targets]
    ((losses * weight).sum() / weight.sum()).backward()
    torch.manual_seed(3)
    reported = learner.train_step(images, targets).loss
    gradients = learner.weights.by_name(learner.weights.flat.grad)
    for name, parameter in reference.named_parameters():
        torch.testing.assert_close(gradients[name], parameter.grad)
    # Unweighted, as in validation.
    assert reported.item() == pytest.approx(losses.mean().item(), rel=1e-5)
