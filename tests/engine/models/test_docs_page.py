"""The example in MODELS.md is trained and tested by the commands on that page."""

import re
import shlex
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from cnn_engine.config.built_in_models import BUILT_IN_MODELS, BuiltInModel
from cnn_engine.config.schema import ModelConfig
from cnn_engine.models.build import build_model
from cnn_engine.models.hooks import BeginEpoch, InitFromImages
from cnn_engine.models.whitened import WhitenedCNN

PAGE = (Path(__file__).parents[3] / "engine/docs/MODELS.md").read_text()


def blocks(language):
    """Return the code blocks of the page in a language."""
    return re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.fixture
def mynet(tmp_path, write_module):
    """Make a directory with the example's module the working directory; return its path."""
    (code,) = blocks("python")
    write_module("mynet", code)
    return tmp_path


def test_example_is_trained_and_tested_by_the_documented_commands(mynet, run_cli):
    commands = [shlex.split(line) for block in blocks("sh") for line in block.splitlines()]
    assert [command[:2] for command in commands] == [["cnn-tui", "run"], ["cnn-tui", "test"]]
    for _, *arguments in commands:
        options = ["--no-ui", "--set", "train.device=cpu"] if arguments[0] == "run" else []
        code, _, errors = run_cli(*arguments, *options, cwd=mynet)
        assert code == 0, errors


def test_hooks_are_found_by_name():
    plain = nn.Linear(1, 1)
    assert not isinstance(plain, InitFromImages | BeginEpoch)
    assert issubclass(WhitenedCNN, InitFromImages)
    assert issubclass(WhitenedCNN, BeginEpoch)


class Flat(nn.Module):
    """A model as a new module in `models/` would define it."""

    def __init__(self, *, channels, image_size, class_count, hidden):
        super().__init__()
        self.hidden = nn.Linear(channels * image_size**2, hidden[0])
        self.head = nn.Linear(hidden[0], class_count)

    def forward(self, images):
        return self.head(self.hidden(images.flatten(1)).relu())


def test_built_in_network_needs_a_class_and_an_entry(monkeypatch):
    monkeypatch.setitem(sys.modules, "flat_for_tests", sys.modules[__name__])
    entry = BuiltInModel(path="flat_for_tests:Flat", settings=("hidden",))
    monkeypatch.setitem(BUILT_IN_MODELS, "flat", entry)
    model = build_model(ModelConfig(name="flat", hidden=(7,)), 3, 8, 5)
    assert model(torch.zeros(2, 3, 8, 8)).shape == (2, 5)
    assert ModelConfig(name="flat").min_image_size is None
