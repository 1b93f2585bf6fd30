"""Every preset trains one step on a few images of the bundled digits."""

from dataclasses import replace

import pytest
import torch

from cnn_engine.config.preset_files import list_presets
from cnn_engine.config.presets import load_config
from cnn_engine.data.dataset import load_dataset
from cnn_engine.models.build import build_model, count_parameters
from cnn_engine.runs.directory import create_run
from cnn_engine.runs.recorder import Recorder
from cnn_engine.training.control import Control
from cnn_engine.training.trainer import Trainer

IMAGES = 16

REQUIRED_LINES = (
    "[data]",
    "[model]",
    "[optimizer]",
    "[train]",
    "lr = ",
    "epochs = ",
    "batch_size = ",
)


@pytest.mark.parametrize("name", list_presets())
def test_preset_is_complete_and_trains(tmp_path, name):
    text = list_presets()[name].read_text(encoding="utf-8")
    assert text.startswith("# ")
    for line in REQUIRED_LINES:
        assert line in text
    # The preset needs a file of pretrained weights; the test starts from random ones.
    settings = ["model.freeze=false"] if name == "transfer" else []
    settings += ["data.source=digits", "data.image_size=32", f"data.path='{tmp_path}'"]
    settings += [f"data.channels={len(load_config(name, settings).data.mean)}", "train.device=cpu"]
    config = load_config(name, settings)
    data = load_dataset(config.data, config.train.seed, lambda *_: None)
    few_images = replace(data, train=data.train[:IMAGES], val=data.val[:IMAGES])
    recorder = Recorder(create_run(tmp_path))
    with recorder:
        trainer = Trainer(config, few_images, recorder, Control(recorder))
        before = trainer.learner.weights.flat.detach().clone()
        trainer.begin_epoch()
        loss, _ = trainer.train_epoch()
    assert 0 < loss < 10
    assert not torch.equal(trainer.learner.weights.flat, before)
    assert trainer.learner.weights.are_finite()


def test_cifar10_94_model_has_published_parameter_count():
    """1.97 million trainable parameters, including the 24 biases of the whitening filters."""
    model = build_model(
        load_config("cifar10-94", ["model.filters=[64, 256, 256]"]).model, 3, 32, 10
    )
    filters = [24 * 64, 64 * 64, 64 * 256, 256 * 256, 256 * 256, 256 * 256]
    biases = 24 + 2 * (64 + 256 + 256)
    assert count_parameters(model) == 9 * sum(filters) + biases + 256 * 10
