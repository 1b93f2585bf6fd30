"""Networks whose weights and buffers are shared, transposed, strided, expanded or infinite."""

from io import BytesIO

import onnxruntime
import pytest
import torch
from safetensors.torch import load as load_safetensors

from cnn_engine.export import onnx_file, safetensors_file, torch_program
from cnn_engine.export.model import load
from cnn_engine.inference.trained import load_trained_model
from cnn_engine.session.engine import Engine
from runs_for_tests import RunForTests, last_weights

CODE = """
import torch
from torch import nn
from torch.nn.functional import conv2d, linear

class Plain(nn.Module):
    def __init__(self, *, channels, image_size, class_count):
        super().__init__()
        self.a = nn.Conv2d(channels, 8, 3, padding=1)
        self.b = nn.Conv2d(8, 8, 3, padding=1)
        self.c = nn.Conv2d(8, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.head = nn.Linear(8, class_count)
        self.change(class_count)
    def change(self, class_count):
        pass
    def features(self, images):
        maps = self.norm(self.c(self.b(self.a(images).relu()).relu()))
        return maps.amax((2, 3))
    def forward(self, images):
        return self.head(self.features(images))

class Tied(Plain):
    def change(self, class_count):
        super().change(class_count)
        self.c.weight = self.b.weight

class TiedModule(Plain):
    def change(self, class_count):
        super().change(class_count)
        self.c = self.b

class Transposed(Plain):
    def change(self, class_count):
        super().change(class_count)
        self.head.weight = nn.Parameter(torch.randn(8, class_count).t() / 3)

class Strided(Plain):
    def change(self, class_count):
        super().change(class_count)
        self.norm.weight = nn.Parameter(torch.ones(16)[::2])

class Expanded(Plain):
    def change(self, class_count):
        super().change(class_count)
        self.norm.bias = nn.Parameter(torch.zeros(1).expand(8))

class Bare(Plain):
    def change(self, class_count):
        super().change(class_count)
        self.square = nn.Parameter(torch.randn(3, 8, 8).permute(1, 2, 0).contiguous()
                                   .permute(2, 0, 1) / 3)
    def features(self, images):
        return linear(super().features(images), self.square.mean(0))

class Buffers(Plain):
    def change(self, class_count):
        super().change(class_count)
        self.register_buffer("mix", torch.randn(8, 8).t())
        self.register_buffer("scale", torch.ones(1).expand(8))
        self.register_buffer("same", self.mix)
        self.register_buffer("part", self.mix[::2])
    def features(self, images):
        features = linear(super().features(images), self.mix) * self.scale
        return features + linear(self.part, self.same).sum(0)

class Masked(Plain):
    def change(self, class_count):
        super().change(class_count)
        self.register_buffer("mask", torch.tensor([0.0] * 7 + [-torch.inf]))
    def features(self, images):
        features = super().features(images)
        return features * (features.abs().detach() + self.mask).softmax(1) * 8

class Mixed(Tied, Transposed, Strided, Bare, Masked):
    pass

class OtherMixed(TiedModule, Expanded, Buffers):
    pass
"""
MIXED = ("Mixed", "OtherMixed")
"""Networks with all of these weights and buffers."""


@pytest.fixture
def train(tmp_path, write_module):
    """Return a function that trains a network of `mynet.py`."""
    write_module("mynet", CODE)

    def train(name, epochs, *overrides):
        settings = (f"model.name='mynet:{name}'", f"train.epochs={epochs}", *overrides)
        run = RunForTests(tmp_path / "runs", *settings).train()
        assert run.live_state.status == "done", run.live_state.finished
        return run

    return train


FP32 = ("train.precision=fp32",)
BF16 = ("train.precision=bf16", "optimizer.name=muon", "average.kind=ema")


@pytest.mark.parametrize("settings", [BF16, FP32])
@pytest.mark.parametrize("name", MIXED)
def test_resume_is_bit_equal(train, name, settings):
    settings = (*settings, "optimizer.lr=0.01")
    run = train(name, 1, *settings)
    run.engine = Engine.resume(run.directory, 2, allow_code=True)
    run.recorder = run.engine._recorder
    run.train()
    other = train(name, 2, *settings)
    assert run.live_state.prepared.differences == ()
    for state in (run.live_state, other.live_state):
        assert state.status == "done"
        assert state.test.accuracy > 0.15
    saved, expected = last_weights(run.directory), last_weights(other.directory)
    assert saved.keys() == expected.keys()
    assert [key for key in saved if not torch.equal(saved[key], expected[key])] == []
    assert run.live_state.epochs[1].val_loss == other.live_state.epochs[1].val_loss


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("name", ["Tied", "TiedModule"])
def test_shared_weight_is_saved_alike_under_both_names(train, name, precision):
    weights = last_weights(train(name, 1, f"train.precision={precision}").directory)
    assert weights["b.weight"].dtype == weights["c.weight"].dtype == torch.float32
    assert torch.equal(weights["b.weight"], weights["c.weight"])


@pytest.mark.parametrize("name", MIXED)
def test_every_export_answers_as_the_model(train, name):
    """Shared and non-contiguous tensors are exported (huggingface/safetensors#98)."""
    run = train(name, 1, "train.precision=bf16").directory
    images = torch.randint(0, 256, (3, 8, 8, 1), dtype=torch.uint8)
    classifier = load(run, allow_code=True).classifier
    expected = classifier(images)

    model = load_trained_model(run, allow_code=True).model
    file = safetensors_file.export(run, allow_code=True)["model.safetensors"]
    for values in [*model.parameters(), *model.buffers()]:
        values.data.zero_()
    model.load_state_dict(load_safetensors(file))
    classifier.network = model
    torch.testing.assert_close(classifier(images), expected)

    session = onnxruntime.InferenceSession(onnx_file.export(run, allow_code=True)["model.onnx"])
    (found,) = session.run(None, {"images": images.numpy()})
    torch.testing.assert_close(torch.from_numpy(found), expected, rtol=1e-4, atol=1e-5)

    program = torch_program.export(run, allow_code=True)["model.pt2"]
    found = torch.export.load(BytesIO(program)).module()(images)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
