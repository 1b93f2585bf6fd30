"""The JSON Schema of configs, which editors use, and the comments by which they find it."""

import json
import tomllib
from urllib.parse import unquote, urlsplit

import jsonschema
import pytest

from cnn_engine.config.json_schema import config_schema
from cnn_engine.config.preset_files import list_presets, schema_path
from cnn_engine.config.presets import list_keys

UPDATE = "python -m cnn_engine.config.json_schema > configs/config.schema.json"


def test_file_is_up_to_date():
    assert json.loads(schema_path().read_text()) == config_schema(), f"run: {UPDATE}"


def test_every_key_has_a_text():
    schema = config_schema()
    texts = {}
    for table, value in schema["properties"].items():
        fields = schema["$defs"][value["$ref"].rpartition("/")[2]]["properties"]
        texts |= {f"{table}.{key}": field["description"] for key, field in fields.items()}
    assert list(texts) == list_keys()
    assert texts["optimizer.lr"] == "Peak learning rate of the schedule."
    assert all(text[0] in "`" or text[0].isalnum() for text in texts.values())
    assert "null" not in json.dumps(schema["$defs"])  # TOML has none


@pytest.mark.parametrize("name", list_presets())
def test_presets_match_the_schema_and_name_it(name):
    path = list_presets()[name]
    jsonschema.validate(tomllib.loads(path.read_text()), config_schema())
    header, _, _ = path.read_text().partition("\n\n")
    # Editors read such a comment only before the first key.
    assert header.endswith("\n#:schema ./config.schema.json")


@pytest.mark.parametrize(
    "text",
    [
        'epochs = 3\n[data]\nsource = "digits"',
        '[data]\nsource = "digits"\n[train]\nepoch = 3',
        '[data]\nsource = "digit"',
        '[data]\nsource = "digits"\n[train]\nepochs = 0',
        '[data]\nsource = "digits"\n[model]\nname = "cnm"',
        '[data]\nsource = "digits"\n[optimizer]\nclip_norm = "1"',
        "[train]\nepochs = 3",
    ],
)
def test_mistakes_do_not_match_the_schema(text):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(tomllib.loads(text), config_schema())


def test_own_network_matches_the_schema():
    text = '[data]\nsource = "digits"\n[model]\nname = "my.nets:Net"\n[model.options]\nwidth = 3'
    jsonschema.validate(tomllib.loads(text), config_schema())


def test_command_prints_the_schema(run_cli, tmp_path):
    code, out, _ = run_cli("configs", "--schema", cwd=tmp_path)
    assert (code, json.loads(out)) == (0, config_schema())


def test_printed_preset_names_the_installed_schema(run_cli, tmp_path):
    """A copy is in another directory than the schema."""
    code, out, _ = run_cli("configs", "digits", cwd=tmp_path)
    (line,) = (line for line in out.splitlines() if line.startswith("#:schema "))
    url = urlsplit(line.removeprefix("#:schema "))
    assert (code, url.scheme, unquote(url.path)) == (0, "file", str(schema_path()))
    assert out.splitlines()[0] == list_presets()["digits"].read_text().splitlines()[0]
