"""Read `maps.bin`, from whatever program; its format is in `feature_maps.py`."""

from pathlib import Path
from typing import Any, get_args

from cnn_engine.results.feature_maps import FORMAT, Filters, Header, Maps, Part, Sample, Stage
from cnn_engine.storage.json_files import MAX_NUMBER, Fields, not_ours, read_object_and_bytes

MOST_BYTES = 2**24
"""A larger file than any that is written is not read."""

MOST_SIZE = 2**12
"""No image or map has a side of more pixels, and nothing is kept in more pieces: a picture that is
higher would take a screen forever to draw."""


def read_maps(path: Path) -> Maps:
    """Read `maps.bin`.

    Raises:
        DataError: it is not there, cannot be read, or is damaged.
        ConfigError: a newer version of cnn-tui wrote it.
    """
    values, content = read_object_and_bytes(path, FORMAT, MOST_BYTES)
    try:
        return Maps(_header(values), content)
    except ValueError as error:
        raise not_ours(path, error) from None


def _header(values: dict[str, Any]) -> Header:
    fields = Fields(values)
    stages = tuple(map(_stage, fields.items("stages")))
    part: Part | None = next((part for part in get_args(Part) if part == values.get("part")), None)
    if part is None:
        raise ValueError(f"{values.get('part')!r} is no part of the images")
    filters = values.get("filters")
    height, width, channels = fields.sizes("image", MOST_SIZE, 3)
    return Header(
        epoch=fields.integer("epoch", 0, MAX_NUMBER),
        part=part,
        image=(height, width, channels),
        whole=_pair(fields, "whole"),
        mean=fields.numbers("mean"),
        std=fields.numbers("std"),
        filters=None if filters is None else _filters(filters),
        stages=stages,
        samples=tuple(_sample(sample, len(stages)) for sample in fields.items("samples")),
    )


def _filters(values: object) -> Filters:
    fields = Fields(values)
    count, channels, height, width = fields.sizes("shape", MOST_SIZE, 4)
    return Filters(
        layer=fields.text("layer"),
        shape=(count, channels, height, width),
        of=fields.integer("of", 1, MAX_NUMBER),
        stride=_pair(fields, "stride"),
        padding=_pair(fields, "padding", least=0),
    )


def _stage(values: object) -> Stage:
    fields = Fields(values)
    maps, height, width = fields.sizes("shape", MOST_SIZE, 3)
    return Stage(
        name=fields.text("name"),
        kind=fields.text("kind"),
        shape=(maps, height, width),
        of=fields.integer("of", 1, MAX_NUMBER),
        whole=_pair(fields, "whole"),
    )


def _sample(values: object, stages: int) -> Sample:
    fields = Fields(values)
    classes = fields.integers("answers", 0, MAX_NUMBER)
    lows, highs = fields.numbers("lows"), fields.numbers("highs")
    if not len(lows) == len(highs) == stages:
        raise ValueError(f"{len(lows)} and {len(highs)} ends of ranges for {stages} stages")
    shares = fields.shares("shares")
    if not classes or len(shares) != len(classes):
        raise ValueError(f"{len(shares)} shares of {len(classes)} answers")
    return Sample(
        name=fields.text("name"),
        label=fields.integer("label", 0, MAX_NUMBER),
        answers=tuple(classes),
        shares=tuple(shares),
        lows=lows,
        highs=highs,
    )


def _pair(fields: Fields, key: str, least: int = 1) -> tuple[int, int]:
    down, *across = fields.integers(key, least, MOST_BYTES) or [0]
    if len(across) != 1:
        raise ValueError(f"{key} is no pair")
    return down, across[0]
