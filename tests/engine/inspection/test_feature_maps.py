"""Files that a run writes about its model: layers, filters, feature maps of sample images."""

import errno
import json
from pathlib import Path

import pytest
import torch

from cnn_engine.data.dataset import load_dataset
from cnn_engine.inference.trained import load_trained_model
from cnn_engine.inspection import writer
from cnn_engine.results.feature_maps import MAPS_FILE, read_feature_maps
from cnn_engine.results.model_layers import read_layers
from cnn_engine.runlog.events import Notice
from photos_for_tests import save_images
from runs_for_tests import RunForTests


def test_run_writes_its_layers(run: RunForTests) -> None:
    layers = read_layers(run.directory.path / "model.json")
    assert layers.input == (1, 20, 20)
    prepared = run.live_state.prepared
    assert prepared is not None
    assert sum(layer.parameters for layer in layers.layers) == prepared.parameters


def test_samples_are_test_images_with_the_best_model_predictions(run: RunForTests) -> None:
    maps, trained = (
        read_feature_maps(run.directory.path / MAPS_FILE),
        load_trained_model(run.directory),
    )
    header = maps.header
    data = load_dataset(trained.config.data, trained.config.train.seed, lambda *_: None)
    assert (header.split, header.epoch) == ("test", trained.epoch)
    indices = {data.name_of(int(index)): int(index) for index in data.test}
    for number, sample in enumerate(header.samples):
        index = indices[sample.name]
        image = data.images[index : index + 1]
        assert maps.image(number) == image.numpy().tobytes()
        assert sample.label == data.labels[index]
        probabilities = trained.logits(image).softmax(dim=1)[0]
        for rank, (top_class, probability) in enumerate(
            zip(sample.top_classes, sample.probabilities, strict=True)
        ):
            assert probability == pytest.approx(
                probabilities.sort(descending=True).values[rank].item(), abs=0.02
            )
            assert probability == pytest.approx(probabilities[top_class].item(), abs=0.02)
    correct = [sample for sample in header.samples if sample.is_correct]
    wrong = [sample for sample in header.samples if not sample.is_correct]
    assert len(wrong) == 10
    assert [sample.probabilities[0] for sample in wrong] == sorted(
        (sample.probabilities[0] for sample in wrong), reverse=True
    )
    assert len({sample.label for sample in correct}) == len(correct)


def test_stored_maps_match_the_model(run: RunForTests) -> None:
    """Compare each stage with a forward pass, within the error of 256 levels and of bf16."""
    maps, trained = (
        read_feature_maps(run.directory.path / MAPS_FILE),
        load_trained_model(run.directory),
    )
    header = maps.header
    assert [stage.name for stage in header.stages][:2] == ["blocks.0.0", "blocks.0.1"]
    assert [stage.total for stage in header.stages[-4:]] == [20] * 4
    modules = dict(trained.model.named_modules())
    outputs: dict[str, torch.Tensor] = {}
    for stage in header.stages:
        modules[stage.name].register_forward_hook(
            lambda _module, _args, output, name=stage.name: outputs.update({name: output.clone()})
        )
    height, width, channels = header.image
    for number, sample in enumerate(header.samples[:3]):
        pixels = torch.frombuffer(bytearray(maps.image(number)), dtype=torch.uint8)
        trained.logits(pixels.view(1, height, width, channels))
        for position, stage in enumerate(header.stages):
            stored = torch.frombuffer(bytearray(maps.maps(number, position)), dtype=torch.uint8)
            low, high = sample.lows[position], sample.highs[position]
            values = stored.view(stage.shape).float() * ((high - low) / 255) + low
            expected = outputs[stage.name][0, : stage.shape[0]].float()
            if stage.shape[1:] == stage.full_size:
                assert torch.allclose(values, expected, atol=0.02 * (high - low))
            else:
                assert values.mean() == pytest.approx(
                    expected.mean().item(), abs=0.05 * (high - low)
                )


def test_filters_are_stored_in_full_precision(run: RunForTests) -> None:
    maps, trained = (
        read_feature_maps(run.directory.path / MAPS_FILE),
        load_trained_model(run.directory),
    )
    filters = maps.header.filters
    assert filters is not None
    assert (filters.shape, filters.total) == ((8, 1, 3, 3), 8)
    weights = trained.model.get_parameter(f"{filters.layer}.weight").flatten().tolist()
    assert list(maps.filter_values()) == weights
    assert list(maps.biases()) == trained.model.get_parameter(f"{filters.layer}.bias").tolist()


def test_large_images_and_maps_are_downscaled(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        save_images(tmp_path / "photos" / name)
    settings = ("model.filters=[24,8]", "data.image_size=96", "train.epochs=1")
    settings += (f"data.path={tmp_path / 'photos'}", "data.channels=1")
    settings += ("data.mean=[0.5]", "data.std=[0.5]")
    run = RunForTests(tmp_path, *settings, preset="folder").train()
    header = read_feature_maps(run.directory.path / MAPS_FILE).header
    assert (header.image, header.full_size) == ((64, 64, 1), (96, 96))
    assert header.stages[0].shape == (16, 32, 32)
    assert header.stages[0].full_size == (96, 96)
    assert header.stages[0].total == 24
    assert all(stage.shape[1:] == (16, 16) for stage in header.stages[1:])


def test_maps_are_written_before_training_and_after_each_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = []

    def record(path: Path, content: bytes) -> None:
        if path.name == MAPS_FILE:
            written.append(content)

    monkeypatch.setattr(writer, "write_atomically", record)
    RunForTests(tmp_path, "train.epochs=2").train()
    headers = [json.loads(content.partition(b"\n")[0]) for content in written]
    assert [(header["part"], header["epoch"]) for header in headers][:3] == [
        ("validation", 0),
        ("validation", 1),
        ("validation", 2),
    ]
    assert headers[-1]["part"] == "test"
    bodies = [content.partition(b"\n")[2] for content in written[:3]]
    assert len(set(bodies)) == 3


def test_inspection_does_not_change_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def weights(run: RunForTests) -> bytes:
        content = torch.load(run.directory.path / "best.pt", weights_only=True)
        return b"".join(value.numpy().tobytes() for value in content["model"].values())

    inspected = RunForTests(tmp_path, "train.epochs=2").train()
    for function in ("write_layers", "write_feature_maps"):
        monkeypatch.setattr(f"cnn_engine.training.inspector.{function}", lambda *_, **__: None)
    assert weights(inspected) == weights(RunForTests(tmp_path, "train.epochs=2").train())


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "could not be written: No space left"),
        (RuntimeError("no hooks here"), "could not be created: RuntimeError: no hooks here"),
    ],
)
def test_failure_to_write_is_a_notice(
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


def test_non_finite_weights_leave_the_last_maps(tmp_path: Path) -> None:
    settings = ("train.epochs=1", "optimizer.lr=1e30", "train.on_non_finite=continue")
    run = RunForTests(tmp_path, *settings).train()
    assert read_feature_maps(run.directory.path / MAPS_FILE).header.epoch == 0
    assert any(
        "is not updated because weights are not finite" in notice.text
        for notice in run.live_state.notices
    )
