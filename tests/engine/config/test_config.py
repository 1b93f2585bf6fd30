"""Loading and validating configs: presets, TOML files and `--set` overrides."""

import json
import re

import pytest

from cnn_engine.config.preset_files import list_presets
from cnn_engine.config.presets import list_keys, load_config
from cnn_engine.config.schema import Config
from cnn_engine.errors import ConfigError


def problems(name_or_path, *overrides):
    """Return the problems that loading the config raises."""
    with pytest.raises(ConfigError) as caught:
        load_config(str(name_or_path), overrides)
    assert caught.value.exit_code == 2
    return caught.value.problems


def test_cifar10_preset_matches_the_published_procedure():
    config = load_config("cifar10")
    assert config.data.source == "cifar10"
    assert (config.data.mean, config.data.std) == ((0.5,), (0.5,))
    assert config.data.validation_fraction == 0.2
    assert config.model.filters == (32, 64, 128)
    assert (config.model.hidden, config.model.dropout) == ((256, 128), 0.5)
    assert (config.optimizer.name, config.optimizer.lr) == ("adam", 0.001)
    assert (config.train.epochs, config.train.batch_size) == (20, 64)


def test_every_preset_is_valid():
    for name, path in list_presets().items():
        overrides = ["data.path=somewhere"] if name in {"folder", "transfer"} else []
        overrides += ["model.weights=some.pth"] if name == "transfer" else []
        load_config(name, overrides)
        text = path.read_text(encoding="utf-8")
        assert text.startswith("# "), f"{name} has no description"
        assert "lr = " in text


def test_overrides_are_toml_and_last_one_wins():
    config = load_config("digits", ["train.epochs=3", "train.epochs=4", "model.filters=[8, 16]"])
    assert config.train.epochs == 4
    assert config.model.filters == (8, 16)


def test_all_problems_are_listed_with_key_and_suggestion():
    found = problems(
        "cifar10",
        "train.epoch=3",
        "train.epochs=0",
        "train.device=cdua",
        "lr=3",
        "data.image_size=4.5",
        'data.mean="x"',
    )
    text = "\n".join(found)
    assert len(found) == 6
    assert "train.epoch: unknown key; did you mean 'train.epochs'?" in found
    assert "lr: unknown key; did you mean 'optimizer.lr'?" in found
    assert re.search(r"train\.epochs: .*greater than 0.*got 0", text)
    assert re.search(r"train\.device: 'cdua' is not one of .*did you mean 'cuda'", text)
    assert re.search(r"data\.image_size: .*integer", text)
    assert re.search(r"data\.mean: .*array", text)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("train.epochs", "KEY=VALUE"),
        ("=3", "KEY=VALUE"),
        ("train.epochs.x=3", "train.epochs.x=3"),
        ("train.epochs=1979-05-27", "train.epochs"),
        ("train.epochs=true", "train.epochs"),
        ("optimizer.lr=nan", "optimizer.lr"),
        ("optimizer.lr=-1", "optimizer.lr"),
        ("train=3", "train"),
    ],
)
def test_error_names_bad_override(override, message):
    assert message in "\n".join(problems("cifar10", override))


def number_fields():
    """Yield the key of each number of the config, and whether it is a list of numbers."""
    for table in Config.model_json_schema()["$defs"].values():
        for key, field in table["properties"].items():
            text = json.dumps(field)
            if ('"integer"' in text or '"number"' in text) and '"enum"' not in text:
                name = table["title"].removesuffix("Config").lower()
                yield f"{name}.{key}", '"array"' in text


@pytest.mark.parametrize(("key", "is_list"), [*number_fields()])
@pytest.mark.parametrize("value", ["9" * 40, "-1e300", "1e300", "inf", "nan", "9" * 5000])
def test_every_number_has_bounds(key, is_list, value):
    """A number that no run can work with is refused before a run exists (a batch of 10**20)."""
    text = f"[{value}]" if is_list else value
    (problem,) = problems("digits", f"{key}={text}")
    assert problem.startswith(key)
    assert len(problem) < 400


@pytest.mark.parametrize("value", ["[" * 2000 + "]" * 2000, "{a=" * 2000 + "1" + "}" * 2000])
def test_deeply_nested_values_are_refused(tmp_path, value):
    path = tmp_path / "deep.toml"
    path.write_text(f'[data]\nsource = "digits"\n[model.options]\nx = {value}\n')
    (problem,) = problems(str(path))
    assert "nested too deeply" in problem
    (problem,) = problems("digits", f"model.options.{'a.' * 2000}a=1")
    assert "nested too deeply" in problem
    assert problems("digits", f"train.epochs={value}")[0].startswith("train.epochs: ")


def test_images_too_small_for_pooling_are_refused():
    (problem,) = problems("digits", "data.image_size=8", "model.filters=[4, 4, 4, 4]")
    assert problem.startswith("data.image_size: 8 is too small")


@pytest.mark.parametrize(("name", "size", "fits"), [("cnn", 8, True), ("whitened", 8, False)])
def test_whitened_model_needs_one_more_pixel(name, size, fits):
    settings = [f"model.name={name}", f"data.image_size={size}", "model.filters=[4, 4, 4]"]
    if fits:
        load_config("digits", settings)
    else:
        assert "use 9 or more" in problems("digits", *settings)[0]


def test_folder_source_requires_path():
    (problem,) = problems("folder")
    assert problem.startswith("data.path: ")
    assert "--data-dir" in problem


def test_misspelt_preset_gets_suggestion():
    (problem,) = problems("cifra10")
    assert "did you mean 'cifar10'" in problem


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[train\nepochs = 3", "is not valid TOML"),
        (b"\xff\xfe[train]", "is not UTF-8 text"),
        (b"#" * 10_000_000, "not a config"),
        (b"", "data: is missing"),
        (b"[train]\nepochs = 3", "data: is missing"),
    ],
)
def test_error_names_bad_file(tmp_path, content, message):
    path = tmp_path / "own.toml"
    path.write_bytes(content)
    assert message in "\n".join(problems(path))


def test_directory_is_refused(tmp_path):
    assert "is a directory" in "\n".join(problems(tmp_path))


def test_list_keys_has_dotted_keys():
    assert "data.source" in list_keys()
    assert "train.batch_size" in list_keys()
