"""Charts of a run's series: `train/loss` and `val/loss` share one, other series have their own."""

import re
from collections.abc import Iterable
from typing import NamedTuple, TypeAlias

from cnn_engine.runlog.roles import ROLES, SPLITS, TEST, TRAINING, VALIDATION, roles_of
from cnn_tui.charts.loss import TRAIN, VAL

Key: TypeAlias = tuple[tuple[str, ...], ...]
"""Words of a name without those of its split, for each of its parts between slashes."""

SEPARATORS = re.compile(r"([_\s.-]+|(?<=[a-z0-9])(?=[A-Z]))")
INTERVALS = ("step", "epoch")
"""Last words of a name that Lightning appends to a value's means."""

SYNONYMS = {"acc": "accuracy", "losses": "loss"}

OTHER_STYLES = tuple(f"$run-{number}" for number in range(3, 9))
MARKS = ("", "○", "×", "◆", "■", "▸", "▾", "●")
"""Characters on the lines of a chart, for terminals without colours."""


class MetricLine(NamedTuple):
    """A series as a line of a chart."""

    name: str
    """Name of the series."""

    label: str
    """Word for the legend, such as `val`; empty if the line is alone."""

    style: str
    mark: str
    """Character on the line; empty for the first."""


class MetricGroup(NamedTuple):
    """A chart with one or more series."""

    title: str
    lines: tuple[MetricLine, ...]


class _Name(NamedTuple):
    name: str
    key: Key
    split: str
    interval: str
    rest: str
    """The name without the split."""

    @property
    def variant(self) -> tuple[str, str]:
        """Split and interval, by which the lines of a chart differ."""
        return self.split, self.interval


def groups_of(names: Iterable[str]) -> list[MetricGroup]:
    """Return the charts of all series.

    Loss, accuracy and learning rate come first. Others follow in the order of their names, but with
    those of the same first part next to each other.
    """
    groups: dict[Key, list[_Name]] = {}
    for name in map(_parse, names):
        groups.setdefault(name.key, []).append(name)
    keys = list(dict.fromkeys([*_main_keys(groups), *_adjacent(groups)]))
    return [_group(groups[key]) for key in keys]


def _main_keys(groups: dict[Key, list[_Name]]) -> list[Key]:
    """Return the keys of losses, accuracies and learning rates."""
    key_of = {name.name: key for key, names in groups.items() for name in names}
    roles = roles_of(key_of)
    keys = []
    for role in ROLES:
        assigned = roles.assigned.get(role)
        keys += [key_of[name] for name in ([assigned] if assigned else roles.unclear.get(role, []))]
    rate = key_of.get(roles.assigned.get("lr", ""))
    return [*keys, *(key for key in groups if rate and _first_part(key) == _first_part(rate))]


def _adjacent(groups: Iterable[Key]) -> list[Key]:
    """Return the keys in their order, but those of the same first part next to each other."""
    by_part: dict[tuple[str, ...], list[Key]] = {}
    for key in groups:
        by_part.setdefault(_first_part(key), []).append(key)
    return [key for keys in by_part.values() for key in keys]


def _first_part(key: Key) -> tuple[str, ...]:
    """Return what related names have in common: `grad` of `grad/conv`."""
    return key[0] if len(key) > 1 else ("/", *key[0])


def _group(names: list[_Name]) -> MetricGroup:
    if len(names) == 1:
        (name,), (style,) = names, _styles(names)
        return MetricGroup(name.name, (MetricLine(name.name, "", style, ""),))
    names = sorted(names, key=lambda name: _rank(name.split))
    labels = [_label(name, names) for name in names]
    styles = _styles(names)
    lines = tuple(
        MetricLine(name.name, label, style, MARKS[min(index, len(MARKS) - 1)])
        for index, (name, label, style) in enumerate(zip(names, labels, styles, strict=True))
    )
    return MetricGroup(min((name.rest for name in names), key=len), lines)


def _rank(split: str) -> int:
    """Return the position of a split in a legend: training, validation, test."""
    ranks = [TRAINING | {""}, VALIDATION, TEST]
    return next(rank for rank, words in enumerate(ranks) if split in words)


def _label(name: _Name, names: list[_Name]) -> str:
    """Return the word for a line; a name without a split is that of training."""
    if sum(other.variant == name.variant for other in names) > 1:
        return name.name
    has_train = any(other.split in TRAINING for other in names)
    is_only_interval = len({other.split for other in names}) == 1 and name.interval
    split = "" if is_only_interval else name.split or ("all" if has_train else "train")
    has_others = any(other.split == name.split and other is not name for other in names)
    return f"{split} {name.interval}".strip() if has_others or not split else split


def _styles(names: list[_Name]) -> list[str]:
    """Return a style for each line; training and validation have theirs, if they have one line."""
    usual, styles = [TRAIN, VAL], list[str]()
    others = iter(OTHER_STYLES * (1 + len(names) // len(OTHER_STYLES)))
    for name in names:
        rank = _rank(name.split)
        is_first = rank < len(usual) and usual[rank] not in styles
        styles.append(usual[rank] if is_first else next(others))
    return styles


def _parse(name: str) -> _Name:
    """Return a name with its split, if it names exactly one."""
    parts = [_Part(part) for part in name.split("/")]
    splits = {part.split for part in parts if part.split}
    intervals = [part.interval for part in parts if part.interval]
    if len(splits) > 1:  # such as train/val_gap
        return _Name(name, tuple(part.words for part in parts), "", "", name)
    key = tuple(words for part in parts if (words := part.key))
    if not key:
        return _Name(name, tuple(part.words for part in parts), "", "", name)
    rest = "/".join(text for part in parts if (text := part.rest))
    return _Name(name, key, next(iter(splits), ""), " ".join(intervals), rest)


class _Part:
    """A part of a name, with its first or last word if that is a split."""

    def __init__(self, text: str) -> None:
        pieces = SEPARATORS.split(text)
        words = [piece.lower() for piece in pieces[::2]]
        self.words = tuple(SYNONYMS.get(word, word) for word in words)
        first, last = 0, len(words)
        self.split = self.interval = ""
        if last > 1 and words[-1] in INTERVALS and words[-2] != "per":
            self.interval, last = words[-1], last - 1
        if words[first] in SPLITS:
            self.split, first = words[first], 1
        elif words[last - 1] in SPLITS - {"dev"}:  # not of std_dev
            last -= 1
            self.split = words[last]
        self.key = self.words[first:last]
        self.rest = "".join(pieces[2 * first : max(0, 2 * last - 1)])
