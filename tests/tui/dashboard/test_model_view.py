"""The Model view: layers, filters, feature maps and predictions."""

import json

import msgspec
import pytest

from cnn_engine.results.feature_maps import (
    MAPS_FILE,
    encode_feature_maps,
    read_feature_maps,
)
from cnn_engine.results.heatmap import Heatmap
from cnn_engine.results.model_layers import LAYERS_FILE, read_layers
from cnn_tui.dashboard.app import Dashboard
from cnn_tui.dashboard.screens.run import RunScreen
from cnn_tui.dashboard.widgets.feature_maps import FeatureMaps
from cnn_tui.dashboard.widgets.layer_table import LayerTable
from cnn_tui.settings import Options
from cnn_tui.text.numbers import count_text
from golden import DATA, add_maps, golden_run, running_run
from pilot import SIZES, assert_screen, press, screen_text, settle

pytestmark = pytest.mark.usefixtures("fixed_time")


def completed(runs_dir):
    return add_maps(golden_run(runs_dir, "completed"))


def change_maps(run, **values):
    """Write the run's feature maps with changed header fields."""
    maps = read_feature_maps(DATA / MAPS_FILE)
    header = msgspec.structs.replace(maps.header, **values)
    (run.path / MAPS_FILE).write_bytes(encode_feature_maps(header, maps._content))


async def open_model_view(pilot, *keys):
    """Open the Model view, press the keys, and return the text of the screen."""
    await press(pilot, "4", *keys)
    return screen_text(pilot.app)


# Content.


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("name", "keys"), [("model", ""), ("maps", "down n"), ("layers", "l"), ("last", "end up down")]
)
async def test_view_matches_saved_screen(tmp_path, name, keys, size):
    app = Dashboard(RunScreen(completed(tmp_path)))
    async with app.run_test(size=size) as pilot:
        await open_model_view(pilot, *keys.split())
        await assert_screen(pilot, f"model_{name}-{size[0]}x{size[1]}")


@pytest.mark.parametrize("ascii_only", [False, True])
async def test_key_m_marks_what_speaks_for_the_predicted_class(tmp_path, ascii_only):
    run = completed(tmp_path)
    samples = read_feature_maps(DATA / MAPS_FILE).header.samples
    left = Heatmap(values=b"\xff\0", width=2, height=1)
    heated = tuple(msgspec.structs.replace(sample, heatmap=left) for sample in samples)
    change_maps(run, samples=heated)
    app = Dashboard(RunScreen(run), options=Options(ascii=ascii_only))
    async with app.run_test(size=(120, 36)) as pilot:
        without = await open_model_view(pilot)
        await press(pilot, "m")
        marks = "# % @ + o O" if ascii_only else "yellow and orange"
        assert f"{marks} speak for" in screen_text(app)
        await press(pilot, "m")
        assert screen_text(app) == without


@pytest.mark.parametrize("size", SIZES)
async def test_pictures_are_characters_without_unicode_or_colors(tmp_path, monkeypatch, size):
    run = completed(tmp_path)
    app = Dashboard(RunScreen(run), options=Options(ascii=True))
    async with app.run_test(size=size) as pilot:
        text = await open_model_view(pilot, "down")
        assert text.isascii()
        await assert_screen(pilot, f"model_ascii-{size[0]}x{size[1]}")
    monkeypatch.setenv("NO_COLOR", "1")
    app = Dashboard(RunScreen(run))
    async with app.run_test(size=size) as pilot:
        text = await open_model_view(pilot, "down")
        assert "▀" not in text
        assert "*" in text


@pytest.mark.parametrize("size", [(1, 1), (10, 5), (300, 100)])
async def test_view_fits_any_size(tmp_path, size):
    app = Dashboard(RunScreen(completed(tmp_path)))
    async with app.run_test(size=size) as pilot:
        await open_model_view(pilot, "down", "right", "n", "l", "l", "up", "home", "end")
    assert app.return_code in (0, None)


async def test_predictions_are_shown_with_probabilities(tmp_path):
    run = completed(tmp_path)
    samples = read_feature_maps(DATA / MAPS_FILE).header.samples
    app = Dashboard(RunScreen(run))
    async with app.run_test(size=(120, 36)) as pilot:
        text = await open_model_view(pilot)
        assert f"test image 1 of {len(samples)}" in text
        assert samples[0].is_correct
        assert f"✓ {samples[0].label}" in text
        wrong = next(index for index, sample in enumerate(samples) if not sample.is_correct)
        text = await open_model_view(pilot, "n")
        assert f"test image {wrong + 1} of {len(samples)}" in text
        assert f"✗ {samples[wrong].label}, predicted {samples[wrong].top_classes[0]}" in text
        for name, probability in zip(
            samples[wrong].top_classes, samples[wrong].probabilities, strict=True
        ):
            assert f" {name} " in text
            assert f"{100 * probability:.0f}%" in text


async def test_layer_table_shows_layers_and_total(tmp_path):
    layers = read_layers(DATA / LAYERS_FILE).layers
    app = Dashboard(RunScreen(completed(tmp_path)))
    async with app.run_test(size=(120, 36)) as pilot:
        text = await open_model_view(pilot)
    for layer in layers:
        (line,) = [line for line in text.splitlines() if f"│ {layer.name} " in line]
        assert layer.kind in line
        assert "×".join(map(str, layer.output)) in line
        assert not layer.flops or count_text(layer.flops) in line
    assert count_text(sum(layer.parameters for layer in layers)) in text


async def test_keys_stop_at_first_and_last_image_and_stage(tmp_path):
    app = Dashboard(RunScreen(completed(tmp_path)))
    async with app.run_test(size=(120, 36)) as pilot:
        await open_model_view(pilot, "left", "up")
        panel = app.screen.query_one(FeatureMaps)
        assert (panel.sample, panel.stage) == (0, 0)
        await open_model_view(pilot, "right", "right", "down")
        assert (panel.sample, panel.stage) == (2, 1)
        await open_model_view(pilot, "end", "right", *["down"] * 20)
        assert (panel.sample, panel.stage) == (len(panel.samples) - 1, panel.stage_count - 1)
        await open_model_view(pilot, "home")
        assert panel.sample == 0
        await open_model_view(pilot, "l")
        assert app.focused is app.screen.query_one(LayerTable)


# Missing and damaged files.


async def test_missing_files_are_announced(tmp_path):
    run = running_run(tmp_path, 2)
    app = Dashboard(RunScreen(run))
    async with app.run_test(size=(120, 36)) as pilot:
        assert (await open_model_view(pilot, "n", "right", "down")).count(
            "once the model is built"
        ) == 2
        add_maps(run)
        app.screen.poll()
        await settle(pilot)
        assert "blocks.0.0 filters" in screen_text(app)


async def test_finished_run_without_files_shows_the_reason(tmp_path):
    app = Dashboard(RunScreen(golden_run(tmp_path, "completed")))
    async with app.run_test(size=(120, 36)) as pilot:
        text = await open_model_view(pilot)
        assert "This run has no model.json" in text
        assert "This run has no maps.bin" in text


@pytest.mark.parametrize("size", [(120, 36), (40, 12)])
async def test_layers_are_shown_if_maps_are_damaged(tmp_path, size):
    run = completed(tmp_path)
    (run.path / MAPS_FILE).write_bytes(b"\x1b[2J[red]")
    app = Dashboard(RunScreen(run))
    async with app.run_test(size=size) as pilot:
        text = await open_model_view(pilot)
        assert "maps.bin" in text
        assert "\x1b" not in text
        assert "blocks.0.0" in (await open_model_view(pilot, "l"))


async def test_names_from_file_are_escaped(tmp_path):
    run = completed(tmp_path)
    header = read_feature_maps(DATA / MAPS_FILE).header
    hostile = "\x1b]0;x\x07[red][/nope][@click=app.exit]" + "y" * 500
    change_maps(
        run,
        stages=tuple(
            msgspec.structs.replace(stage, name=hostile, kind=hostile) for stage in header.stages
        ),
        samples=tuple(
            msgspec.structs.replace(sample, name=hostile, label=999) for sample in header.samples
        ),
    )
    layers = json.loads((run.path / LAYERS_FILE).read_text())
    for layer in layers["layers"]:
        layer["name"] = layer["kind"] = layer["detail"] = hostile
        layer["parameters"] = 2**60
    (run.path / LAYERS_FILE).write_text(json.dumps(layers))
    app = Dashboard(RunScreen(run))
    async with app.run_test(size=(120, 36)) as pilot:
        text = await open_model_view(pilot, "down")
        assert "\x1b" not in text
        assert r"\x1b]0;x" in text
        assert "class 1000" in text
        assert app.is_running


async def test_maps_are_read_again_after_a_change(tmp_path):
    run = add_maps(running_run(tmp_path, 60))
    change_maps(run, split="validation", epoch=0)
    app = Dashboard(RunScreen(run, trains_here=True))
    async with app.run_test(size=(120, 36)) as pilot:
        text = await open_model_view(pilot)
        assert "before training" in text
        assert "validation image 1" in text
        change_maps(run, split="validation", epoch=10)
        app.screen.poll()
        await settle(pilot)
        assert "after epoch 10" in screen_text(app)


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0"), (896, "896"), (652_426, "652k"), (21_875_200, "21.9M")],
)
def test_count_text_has_at_most_three_digits(count, text):
    assert count_text(count) == text
