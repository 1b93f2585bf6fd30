"""Model settings that are refused, and models built without a weights file."""

import pytest

from cnn_engine.config.presets import load_config
from cnn_engine.config.schema import ModelConfig
from cnn_engine.errors import ConfigError
from cnn_engine.models.build import build_model, count_parameters


@pytest.mark.parametrize("name", ["cnn", "resnet"])
def test_too_small_images_are_refused(name):
    with pytest.raises(ConfigError, match=r"model\.filters: 5 are too many for images of 16"):
        build_model(ModelConfig(name=name, filters=(4,) * 5), 3, 16, 5)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["model.name=resnet18"],
            "is not one of 'cnn', 'resnet', 'whitened', 'torchvision'.*did you mean 'resnet'",
        ),
        (["model.name='a b:C'"], "is not of the form module:Class"),
        (
            ["model.arch=resnet18"],
            r"model\.arch: is only for name = \"torchvision\", not for 'cnn'",
        ),
        (
            ["model.name=torchvision"],
            r"model\.arch: is required for name = .torchvision.: .* such as resnet18",
        ),
        (["model.name=torchvision", "model.arch=x", "model.freeze=true"], r"model\.freeze: needs"),
        (["model.options.width=3"], r"model\.options: is only for your own network"),
    ],
)
def test_settings_of_another_network_are_refused(overrides, message):
    with pytest.raises(ConfigError, match=message):
        load_config("digits", overrides)


def test_frozen_network_of_an_export_needs_no_weights_file():
    config = ModelConfig.model_validate_json(
        '{"name": "torchvision", "arch": "shufflenet_v2_x0_5", "freeze": true}'
    )
    model = build_model(config, 3, 32, 4)
    assert count_parameters(model) == 1024 * 4 + 4
