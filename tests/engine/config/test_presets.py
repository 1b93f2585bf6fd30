"""Every preset trains: a step of each on real images, small enough to be quick."""

from dataclasses import replace

import pytest
import torch

from cnn_engine.config.presets import list_presets, load_config
from cnn_engine.data.dataset import load_dataset
from cnn_engine.models.build import build_model, count_parameters
from cnn_engine.runs.directory import create_run
from cnn_engine.runs.recorder import Recorder
from cnn_engine.training.control import Control
from cnn_engine.training.trainer import Training

IMAGES = 16

COMPLETE = ("[data]", "[model]", "[optimizer]", "[train]", "lr = ", "epochs = ", "batch_size = ")


@pytest.mark.parametrize("name", list_presets())
def test_a_preset_is_complete_and_trains(tmp_path, name):
    text = list_presets()[name].read_text(encoding="utf-8")
    assert text.startswith("# ")
    for part in COMPLETE:
        assert part in text
    # The weights that it begins with are the user's own: here it begins by chance.
    settings = ["model.freeze=false"] if name == "transfer" else []
    settings += ["data.source=digits", "data.image_size=32", f"data.path='{tmp_path}'"]
    settings += [f"data.channels={len(load_config(name, settings).data.mean)}", "train.device=cpu"]
    config = load_config(name, settings)
    data = load_dataset(config.data, config.train.seed, lambda *_: None)
    some = replace(data, train=data.train[:IMAGES], val=data.val[:IMAGES])
    recorder = Recorder(create_run(tmp_path))
    with recorder:
        training = Training(config, some, recorder, Control(recorder))
        before = training.learner.weights.flat.detach().clone()
        training.begin_epoch()
        loss, _ = training.train_epoch()
    assert 0 < loss < 10
    assert not torch.equal(training.learner.weights.flat, before)
    assert training.learner.weights.are_finite()


def test_the_network_of_the_94_is_as_large_as_its_authors_say():
    """24 whitening filters with a shift each, 1.97 million weights in all that are learnt."""
    model = build_model(
        load_config("cifar10-94", ["model.filters=[64, 256, 256]"]).model, 3, 32, 10
    )
    filters = [24 * 64, 64 * 64, 64 * 256, 256 * 256, 256 * 256, 256 * 256]
    shifts = 24 + 2 * (64 + 256 + 256)
    assert count_parameters(model) == 9 * sum(filters) + shifts + 256 * 10
