"""Files of layers and feature maps: their format, and errors for damaged ones."""

import json
import struct
from math import prod
from pathlib import Path

import pytest

from cnn_engine.errors import ConfigError, DataError
from cnn_engine.results.feature_maps import MAPS_FILE, read_feature_maps
from cnn_engine.results.model_layers import read_layers
from runs_for_tests import RunForTests


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
        with_(stages=[]),
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


def test_damaged_maps_are_refused(run: RunForTests, tmp_path: Path) -> None:
    content = (run.directory.path / MAPS_FILE).read_bytes()
    path = tmp_path / MAPS_FILE
    for number, damaged in enumerate(damaged_maps(content)):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=r"maps\.bin: (is damaged|is over)"):
            pytest.fail(f"{number}: {read_feature_maps(path).header}")


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[]", b'{"format": []}', b'{"format": 1, "input": 3, "layers": []}', b"\xff",
     b'{"format": 1, "input": [], "layers": [3]}', b'{"format": 1, "input": [], "layers": {}}',
     b"9" * 5000],
)  # fmt: skip
def test_damaged_layers_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"model\.json: is damaged"):
        read_layers(path)


def test_newer_format_is_refused_as_newer(tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    path.write_text('{"format": 2}')
    with pytest.raises(ConfigError, match="newer version"):
        read_layers(path)


def test_format_matches_documentation(run: RunForTests) -> None:
    """Read the file as the docstring of `results/feature_maps.py` describes it."""
    line, _, body = (run.directory.path / MAPS_FILE).read_bytes().partition(b"\n")
    header = json.loads(line)
    shape = header["filters"]["shape"]
    values = struct.unpack_from(f"<{prod(shape) + shape[0]}f", body)
    maps = read_feature_maps(run.directory.path / MAPS_FILE)
    assert values == maps.filter_values() + maps.biases()
    height, width, channels = header["image"]
    assert body[4 * len(values) :][: height * width * channels] == maps.image(0)
