"""Files of weights to start from, as cnn-tui and other training programs write them."""

import argparse
import builtins
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from cnn_engine.checkpoints.weights_file import read_weights
from cnn_engine.config.schema import ModelConfig
from cnn_engine.errors import ConfigError, DataError
from cnn_engine.models.build import build_model
from cnn_engine.training.initial_weights import load_initial_weights

CLASSES = ("cat", "dog")
CONFIG = ModelConfig(filters=(4, 4), hidden=(8,))


def network(seed=0):
    torch.manual_seed(seed)
    return build_model(CONFIG, 3, 8, len(CLASSES))


@pytest.fixture(scope="module")
def weights():
    return network(1).state_dict()


def prefixed(prefix, weights):
    return {f"{prefix}{name}": values for name, values in weights.items()}


class Wrapped(nn.Module):
    """A module that a program saves as a whole."""

    def __init__(self):
        super().__init__()
        self.model = network(1)
        self.args = {"lr": 0.1}


def lightning(weights):
    return {
        "state_dict": {**prefixed("model.", weights), "loss.weight": torch.ones(2)},
        "hyper_parameters": {"lr": 0.1, "path": Path("x")},
        "callbacks": {"ModelCheckpoint": {"best_model_score": torch.tensor(0.5)}},
    }


def timm(weights):
    wrong = {name: torch.zeros_like(values) for name, values in weights.items()}
    return {
        "arch": "cnn",
        "args": argparse.Namespace(lr=0.1, output=Path("x")),
        "state_dict": wrong,
        "state_dict_ema": prefixed("module.", weights),
        "metric": np.float64(0.5),
    }


def torchvision_reference(weights):
    average = {"n_averaged": torch.tensor(3), **prefixed("module.", weights)}
    return {"model_ema": average, "scaler": None, "args": argparse.Namespace()}


def other_ema(weights):
    return {"ema": {"decay": 0.9, "shadow": [torch.zeros(3)]}, "net": weights}


FORMS = {
    "plain": lambda weights: weights,
    "parallel": lambda weights: prefixed("module.", weights),
    "compiled": lambda weights: prefixed("_orig_mod.", weights),
    "both": lambda weights: prefixed("module._orig_mod.", weights),
    "wrapped": lambda weights: prefixed("model.backbone.", weights),
    "twins": lambda weights: prefixed("q.", weights) | prefixed("k.", weights) | {"queue": weights},
    "lightning": lightning,
    "timm": timm,
    "torchvision": torchvision_reference,
    "other ema": other_ema,
    "nested": lambda weights: {"model": {"model_state_dict": weights}, "epoch": 3},
    "module": lambda _: network(1),
    "module of ultralytics": lambda _: {"model": None, "ema": Wrapped(), "date": "today"},
}


@pytest.mark.parametrize("form", FORMS)
def test_state_dict_is_found_in_checkpoints_of_other_programs(tmp_path, weights, form):
    torch.save(FORMS[form](weights), tmp_path / "x.pth")
    model = network()
    text = load_initial_weights(model, read_weights(tmp_path / "x.pth"), CLASSES)
    head = [name for name in weights if not torch.equal(model.state_dict()[name], weights[name])]
    assert text.startswith(f"Starts from {tmp_path / 'x.pth'}: 14 of 16 tensors, all but ")
    assert len(head) == 2
    assert f"all but {', '.join(head)}" in text


def test_what_is_not_used_is_listed_by_its_name_in_the_file(tmp_path, weights):
    content = prefixed("model.", {**weights, "extra.weight": torch.ones(2)})
    torch.save({**content, "loss.weight": torch.ones(2)}, tmp_path / "x.pth")
    text = load_initial_weights(network(), read_weights(tmp_path / "x.pth"), CLASSES)
    assert text.endswith("; not used from the file: model.extra.weight, loss.weight")


def test_file_of_another_network_is_refused_with_names(tmp_path, weights):
    other = {"stem.conv.weight": torch.ones(9, 9), "blocks.0.bias": torch.ones(9)}
    torch.save(other, tmp_path / "x.pth")
    message = "x.pth fits this network; it contains stem.conv.weight, blocks.0.bias, expected "
    with pytest.raises(ConfigError, match=message):
        load_initial_weights(network(), read_weights(tmp_path / "x.pth"), CLASSES)


def test_old_file_format_is_read(tmp_path, weights):
    torch.save(weights, tmp_path / "x.pth", _use_new_zipfile_serialization=False)
    assert read_weights(tmp_path / "x.pth").weights.keys() == weights.keys()


class Code:
    """An object whose unpickling runs code."""

    def __init__(self, function, *arguments):
        self._call = function, arguments

    def __reduce__(self):
        return self._call


@pytest.mark.parametrize("place", ["alone", "beside weights", "as weights"])
@pytest.mark.parametrize(
    "make",
    [
        lambda path: Code(os.system, f"touch {path}"),
        lambda path: Code(subprocess.call, ["touch", path]),
        lambda path: Code(builtins.exec, f"open({path!r}, 'w')"),
        lambda path: Code(open, path, "w"),
    ],
    ids=["os", "subprocess", "exec", "open"],
)
@pytest.mark.parametrize("is_new", [True, False])
def test_code_in_a_file_is_not_run(tmp_path, weights, make, place, is_new):
    code = make(str(tmp_path / "canary"))
    content = {
        "alone": code,
        "beside weights": {"state_dict": weights, "args": code},
        "as weights": {"state_dict": code},
    }[place]
    torch.save(content, tmp_path / "x.pth", _use_new_zipfile_serialization=is_new)
    try:
        found = read_weights(tmp_path / "x.pth")
    except DataError as error:
        assert "x.pth: is " in str(error)  # noqa: PT017 - some of the files are read
    else:
        assert place == "beside weights"
        assert found.weights.keys() == weights.keys()
    assert not (tmp_path / "canary").exists()


def no_weights(path):
    torch.save({"epoch": 3, "model": [1, 2]}, path)


def cut(path):
    torch.save(network().state_dict(), path)
    path.write_bytes(path.read_bytes()[:3000])


def torchscript(path):
    torch.jit.save(torch.jit.script(nn.Linear(2, 2)), path)


DAMAGED = {
    "is empty": lambda path: path.write_bytes(b""),
    "is a pointer of Git LFS": lambda path: path.write_text("version https://git-lfs.github.com/x"),
    "is a web page": lambda path: path.write_text("\n<!doctype html><html>"),
    "is damaged, or contains more": lambda path: path.write_text("some text"),
    "is damaged, or contains": cut,
    "is a TorchScript program": torchscript,
    "is not a state dict": no_weights,
}


@pytest.mark.filterwarnings("ignore:.*torch.jit.*")
@pytest.mark.parametrize("problem", DAMAGED)
def test_other_files_are_refused_with_the_reason(tmp_path, problem):
    DAMAGED[problem](tmp_path / "x.pt")
    with pytest.raises(DataError, match=rf"x\.pt: {problem}"):
        read_weights(tmp_path / "x.pt")


def test_directory_and_missing_file_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"contains no best\.pt or model\.safetensors or"):
        read_weights(tmp_path / "best.pt")
    with pytest.raises(ConfigError, match="nowhere is not a file; name a run, or a file such as"):
        read_weights(tmp_path / "nowhere")


def test_safetensors_are_read_and_damage_is_reported(tmp_path, weights):
    path = tmp_path / "model.safetensors"
    save_file(weights, path)
    file = read_weights(path)
    assert file.weights.keys() == weights.keys()
    assert file.classes is None
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(DataError, match=r"model\.safetensors: is damaged, or not a file of safe"):
        read_weights(path)


def test_classes_of_exported_safetensors_are_known(tmp_path, weights):
    save_file(weights, tmp_path / "model.safetensors")
    about = {"classes": CLASSES, "normalisation": {"mean": [0.5], "std": [0.2]}}
    (tmp_path / "model.json").write_text(json.dumps(about))
    file = read_weights(tmp_path / "model.safetensors")
    assert (file.classes, file.normalization) == (CLASSES, ((0.5,), (0.2,)))
    text = load_initial_weights(network(), file, CLASSES)
    assert text.endswith("16 of 16 tensors")


def test_missing_library_is_named(tmp_path, weights, monkeypatch):
    save_file(weights, tmp_path / "x.safetensors")
    monkeypatch.setitem(sys.modules, "safetensors.torch", None)
    message = r"model\.weights: x\.safetensors: needs safetensors.*install .*'?safetensors>="
    with pytest.raises(ConfigError, match=message):
        read_weights(tmp_path / "x.safetensors")
