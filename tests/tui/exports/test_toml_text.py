"""Configs as TOML, read back with tomllib."""

import tomllib

from cnn_engine.config.presets import from_dict
from cnn_tui.exports.toml_text import to_toml


def test_config_round_trips_through_toml(completed):
    config = completed.state.config
    text = to_toml(config)
    assert from_dict(tomllib.loads(text)) == from_dict(config)


def test_any_string_round_trips_through_toml():
    values = {"data": {"path": '"\\\x00\x7f\x9b\u202e\n', "list": ["a", 1, 2.5, True]}, "a.b": {}}
    assert tomllib.loads(to_toml(values)) == values
    assert tomllib.loads(to_toml({"a": {"b": "\ud800"}})) == {"a": {"b": "\ufffd"}}
