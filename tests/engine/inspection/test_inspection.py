"""Looking into a model: layers, operations, filters, feature maps; and that it leaves no trace."""

import errno
import json
import struct
from itertools import pairwise
from math import prod
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from cnn_engine.data.dataset import load_dataset
from cnn_engine.errors import ConfigError, DataError
from cnn_engine.inference.trained import load_trained_model
from cnn_engine.inspection import writer
from cnn_engine.inspection.eval_mode import eval_mode
from cnn_engine.inspection.flops import FlopCounter
from cnn_engine.inspection.layers import inspect_layers
from cnn_engine.models.cnn import CNN
from cnn_engine.results.feature_maps import MAPS_FILE
from cnn_engine.results.feature_maps_reader import read_maps
from cnn_engine.results.model_layers import read_layers
from cnn_engine.runlog.events import Notice
from runs_for_tests import RunForTests


def published() -> CNN:
    return CNN(
        channels=3,
        image_size=32,
        class_count=10,
        filters=(32, 64, 128),
        hidden=(256, 128),
        dropout=0.5,
    )


class Residual(nn.Module):
    """Two paths, a module used twice, a parameter of its own, a product of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1, bias=False), nn.BatchNorm2d(3))
        self.scale = nn.Parameter(torch.ones(3, 1, 1))
        self.noise = nn.Dropout(0.5)
        self.unused = nn.Linear(4, 2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        images = images + self.body(images) * self.scale
        images = self.body(images).relu_()
        return images.flatten(2) @ images.flatten(2).transpose(1, 2) + torch.rand(1)


# Layers and operations.


def test_the_published_network_by_hand() -> None:
    """Every filter weight meets every position once; a multiplication and an addition are two."""
    found = inspect_layers(published(), torch.zeros(2, 3, 32, 32)).layers
    layers = {layer.name: layer for layer in found}
    sides, filters = (32, 16, 8), (3, 32, 64, 128)
    for block, (side, (before, after)) in enumerate(zip(sides, pairwise(filters), strict=True)):
        convolution, norm = layers[f"blocks.{block}.0"], layers[f"blocks.{block}.1"]
        assert convolution.output == (after, side, side)
        assert convolution.parameters == after * before * 9 + after
        assert convolution.flops == 2 * after * before * 9 * side * side
        assert norm.parameters == 2 * after
        assert norm.flops == 2 * after * side * side
    assert layers["dense.0.0"].flops == 2 * 2048 * 256
    assert layers["dense.2"].output == (10,)
    assert layers["blocks.0.3"].output == (32, 16, 16)
    assert {layer.kind for layer in layers.values()} >= {"MaxPool2d", "ReLU", "Dropout"}
    assert sum(layer.parameters for layer in layers.values()) == 652_426


def test_a_training_step_is_the_63_5_mflop_of_the_benchmark() -> None:
    """Three products a layer, but no gradient of the images: what `bench` counts."""
    model, images = published().train(), torch.zeros(2, 3, 32, 32)
    layers = inspect_layers(model, images).layers
    products = [layer.flops for layer in layers if layer.kind in ("Conv2d", "Linear")]
    with FlopCounter() as count:
        model(images).sum().backward()
    assert count.products / 2 == 3 * sum(products) - products[0] == 63_512_064


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_products_are_counted_as_pytorchs_own_counter_does(dtype: torch.dtype) -> None:
    models = [
        published().eval(),  # its counter does not know oneDNN's layout, which we train in
        nn.Sequential(nn.ConvTranspose2d(3, 4, 3, stride=2), nn.Conv2d(4, 8, 5, 2)),
        nn.Conv2d(3, 12, 3, groups=3),
        nn.Sequential(nn.Flatten(2), nn.TransformerEncoderLayer(1024, 2, 32, batch_first=True)),
    ]
    for model in models:
        images = torch.zeros(3, 3, 32, 32, requires_grad=True)
        counts = []
        for counter in (FlopCounter(), FlopCounterMode(display=False)):
            with counter:
                with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
                    output = model(images)
                # Of groups its count of the backward pass is too high; of attention ours is none.
                if model in models[:2]:
                    output.sum().backward()
            counts.append(counter)
        assert counts[0].products == counts[1].get_total_flops() > 0


def test_any_module_has_its_layers_told() -> None:
    layers = {
        layer.name: layer for layer in inspect_layers(Residual(), torch.zeros(1, 3, 8, 8)).layers
    }
    assert list(layers) == ["body.0", "body.1", "", "unused"]
    assert layers["body.0"].flops == 2 * (2 * 3 * 3 * 9 * 64)  # carried out twice
    assert layers[""].parameters == 3
    assert layers[""].flops == 2 * 3 * 64 * 3
    assert layers["unused"].output == ()


def test_looking_leaves_no_trace() -> None:
    model, images = Residual().train(), torch.randn(4, 3, 8, 8)
    model.body.eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    random = torch.get_rng_state()
    inspect_layers(model, images)
    assert torch.equal(random, torch.get_rng_state())
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert model.training
    assert not model.body.training
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_a_model_that_fails_is_as_it_was_too() -> None:
    model = published().train()
    with pytest.raises(RuntimeError):
        inspect_layers(model, torch.zeros(1, 4, 32, 32))
    assert model.training
    assert not any(module._forward_hooks for module in model.modules())


# What a run keeps.


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunForTests:
    settings = ("model.filters=[8,20]", "data.image_size=20", "train.epochs=2")
    return RunForTests(tmp_path_factory.mktemp("runs"), *settings).train()


def test_a_run_keeps_its_layers(run: RunForTests) -> None:
    layers = read_layers(run.directory.path / "model.json")
    assert layers.input == (1, 20, 20)
    prepared = run.live_state.prepared
    assert prepared is not None
    assert sum(layer.parameters for layer in layers.layers) == prepared.parameters


def test_it_keeps_what_the_tested_model_makes_of_test_images(run: RunForTests) -> None:
    maps, trained = read_maps(run.directory.path / MAPS_FILE), load_trained_model(run.directory)
    header = maps.header
    data = load_dataset(trained.config.data, trained.config.train.seed, lambda *_: None)
    assert (header.part, header.epoch) == ("test", trained.epoch)
    indices = {data.name_of(int(index)): int(index) for index in data.test}
    for number, sample in enumerate(header.samples):
        index = indices[sample.name]
        image = data.images[index : index + 1]
        assert maps.image(number) == image.numpy().tobytes()
        assert sample.label == data.labels[index]
        shares = trained.logits(image).softmax(dim=1)[0]
        for place, (answer, share) in enumerate(zip(sample.answers, sample.shares, strict=True)):
            assert share == pytest.approx(
                shares.sort(descending=True).values[place].item(), abs=0.02
            )
            assert share == pytest.approx(shares[answer].item(), abs=0.02)
    right = [sample for sample in header.samples if sample.is_right]
    wrong = [sample for sample in header.samples if not sample.is_right]
    assert len(wrong) == 10
    assert [sample.shares[0] for sample in wrong] == sorted(
        (sample.shares[0] for sample in wrong), reverse=True
    )
    assert len({sample.label for sample in right}) == len(right)


def test_the_maps_are_those_of_the_model(run: RunForTests) -> None:
    """Every stage, against the model carried out again, within a step of 256 and bf16's noise."""
    maps, trained = read_maps(run.directory.path / MAPS_FILE), load_trained_model(run.directory)
    header = maps.header
    assert [stage.name for stage in header.stages][:2] == ["blocks.0.0", "blocks.0.1"]
    assert [stage.of for stage in header.stages[-4:]] == [20] * 4
    modules = dict(trained.model.named_modules())
    made: dict[str, torch.Tensor] = {}
    for stage in header.stages:
        modules[stage.name].register_forward_hook(
            lambda _module, _args, output, name=stage.name: made.update({name: output.clone()})
        )
    height, width, channels = header.image
    for number, sample in enumerate(header.samples[:3]):
        pixels = torch.frombuffer(bytearray(maps.image(number)), dtype=torch.uint8)
        trained.logits(pixels.view(1, height, width, channels))
        for place, stage in enumerate(header.stages):
            kept = torch.frombuffer(bytearray(maps.maps(number, place)), dtype=torch.uint8)
            low, high = sample.lows[place], sample.highs[place]
            values = kept.view(stage.shape).float() * ((high - low) / 255) + low
            now = made[stage.name][0, : stage.shape[0]].float()
            if stage.shape[1:] == stage.whole:
                assert torch.allclose(values, now, atol=0.02 * (high - low))
            else:
                assert values.mean() == pytest.approx(now.mean().item(), abs=0.05 * (high - low))


def test_filters_are_kept_in_full_precision(run: RunForTests) -> None:
    maps, trained = read_maps(run.directory.path / MAPS_FILE), load_trained_model(run.directory)
    filters = maps.header.filters
    assert filters is not None
    assert (filters.shape, filters.of) == ((8, 1, 3, 3), 8)
    weights = trained.model.get_parameter(f"{filters.layer}.weight").flatten().tolist()
    assert list(maps.filter_values()) == weights
    assert list(maps.biases()) == trained.model.get_parameter(f"{filters.layer}.bias").tolist()


def test_large_images_are_kept_small(tmp_path: Path) -> None:
    settings = ("model.filters=[24,8]", "data.image_size=96", "train.epochs=1")
    settings += ("data.validation_fraction=0.9",)
    run = RunForTests(tmp_path, *settings).train()
    header = read_maps(run.directory.path / MAPS_FILE).header
    assert (header.image, header.whole) == ((64, 64, 1), (96, 96))
    assert header.stages[0].shape == (16, 32, 32)
    assert header.stages[0].whole == (96, 96)
    assert header.stages[0].of == 24
    assert all(stage.shape[1:] == (16, 16) for stage in header.stages[1:])


def test_maps_change_with_the_epochs_and_are_there_before_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = []

    def keep(path: Path, content: bytes) -> None:
        if path.name == MAPS_FILE:
            kept.append(content)

    monkeypatch.setattr(writer, "write_atomically", keep)
    RunForTests(tmp_path, "train.epochs=2").train()
    headers = [json.loads(content.partition(b"\n")[0]) for content in kept]
    assert [(header["part"], header["epoch"]) for header in headers][:3] == [
        ("validation", 0),
        ("validation", 1),
        ("validation", 2),
    ]
    assert headers[-1]["part"] == "test"
    bodies = [content.partition(b"\n")[2] for content in kept[:3]]
    assert len(set(bodies)) == 3


def test_what_is_kept_does_not_change_what_is_learned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def weights(run: RunForTests) -> bytes:
        content = torch.load(run.directory.path / "best.pt", weights_only=True)
        return b"".join(value.numpy().tobytes() for value in content["model"].values())

    looked = RunForTests(tmp_path, "train.epochs=2").train()
    for function in ("write_layers", "write_feature_maps"):
        monkeypatch.setattr(f"cnn_engine.training.trainer.{function}", lambda *_, **__: None)
    assert weights(looked) == weights(RunForTests(tmp_path, "train.epochs=2").train())


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "could not be written: No space left"),
        (RuntimeError("no hooks here"), "could not be created: RuntimeError: no hooks here"),
    ],
)
def test_what_cannot_be_kept_costs_a_notice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, text: str
) -> None:
    def refuse(*_: object) -> None:
        raise error

    monkeypatch.setattr(writer, "write_atomically", refuse)
    run = RunForTests(tmp_path, "train.epochs=1").train()
    notices = [event.text for event in run.events() if isinstance(event, Notice)]
    assert run.live_state.status == "done"
    assert sum(text in notice for notice in notices) >= 2
    assert not (run.directory.path / MAPS_FILE).exists()


def test_weights_that_are_not_numbers_are_not_shown(
    tmp_path: Path,
) -> None:
    settings = ("train.epochs=1", "optimizer.lr=1e30", "train.on_non_finite=continue")
    run = RunForTests(tmp_path, *settings).train()
    assert read_maps(run.directory.path / MAPS_FILE).header.epoch == 0
    assert any(
        "is not updated: the model's weights are" in each.text for each in run.live_state.notices
    )


def test_undisturbed_is_undone_after_an_error() -> None:
    model = published().train()
    with pytest.raises(KeyError), eval_mode(model):
        raise KeyError
    assert model.training
    assert torch.is_grad_enabled()


# Readers take nothing on trust.


def damaged_maps(content: bytes) -> list[bytes]:
    line, _, body = content.partition(b"\n")
    header = json.loads(line)

    def with_(**values: object) -> bytes:
        return json.dumps(header | values).encode() + b"\n" + body

    first, filters = header["samples"][0], header["filters"]["shape"]
    tall = header | {"image": [2**13, 1, 1], "samples": [], "stages": []}
    return [
        b"",
        b"\n",
        content[:-1],
        content + b"x",
        content[: len(line) // 2],
        line,
        b"\x80" * 100,
        b"[" * 100_000,
        b"[]\n" + body,
        with_(format="1"),
        with_(epoch=-1),
        with_(epoch=True),
        with_(part="train"),
        with_(image=[8, 8]),
        with_(whole=[8]),
        with_(whole=[]),
        with_(image=[0, 8, 1]),
        with_(image=[2**40, 2**40, 1]),
        json.dumps(tall).encode() + b"\n" + body[: 4 * (prod(filters) + filters[0])],
        with_(stages=None),
        with_(stages=[{"name": "x"}]),
        with_(samples=[first | {"lows": []}]),
        with_(samples=[first | {"lows": [float("nan")] * len(header["stages"])}]),
        with_(samples=[first | {"answers": [0]}]),
        with_(samples=[*header["samples"][:-1], first | {"answers": [], "shares": []}]),
        with_(samples=[first | {"shares": ["much"] * len(first["answers"])}]),
        with_(samples=[first | {"name": 3}]),
        with_(samples=first),
        with_(filters={"layer": "x"}),
        with_(mean=[float("nan")]),
        b"\0" * (2**24 + 1),
    ]


def test_a_damaged_file_is_named(run: RunForTests, tmp_path: Path) -> None:
    content = (run.directory.path / MAPS_FILE).read_bytes()
    path = tmp_path / MAPS_FILE
    for number, damaged in enumerate(damaged_maps(content)):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=r"maps\.bin: (is damaged|is over)"):
            pytest.fail(f"{number}: {read_maps(path).header}")


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[]", b'{"format": []}', b'{"format": 1, "input": 3, "layers": []}', b"\xff",
     b'{"format": 1, "input": [], "layers": [3]}', b'{"format": 1, "input": [], "layers": {}}',
     b"9" * 5000],
)  # fmt: skip
def test_damaged_layers_are_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"model\.json: is damaged"):
        read_layers(path)


def test_a_newer_versions_file_is_not_called_damaged(tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    path.write_text('{"format": 2}')
    with pytest.raises(ConfigError, match="newer version"):
        read_layers(path)


def test_the_format_is_as_documented(run: RunForTests) -> None:
    """Read as another program would, from nothing but the docstring of `feature_maps.py`."""
    line, _, body = (run.directory.path / MAPS_FILE).read_bytes().partition(b"\n")
    header = json.loads(line)
    filters, *rest = header["filters"]["shape"]
    weights = filters * rest[0] * rest[1] * rest[2]
    values = struct.unpack_from(f"<{weights + filters}f", body)
    maps = read_maps(run.directory.path / MAPS_FILE)
    assert values == maps.filter_values() + maps.biases()
    height, width, channels = header["image"]
    assert body[4 * len(values) :][: height * width * channels] == maps.image(0)
