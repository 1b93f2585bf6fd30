"""Own keys of the settings: their ids and names are checked, and conflicts found."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from functools import cache
from itertools import chain, islice
from typing import NamedTuple, get_args

from textual.keys import KEY_NAME_REPLACEMENTS, Keys, _character_to_key, key_to_character

from cnn_tui.dashboard.keys import KEY_NAMES, KEYS, Key, Scope, View, keys_for
from cnn_tui.settings import LoadedSettings

TOGETHER: tuple[tuple[Scope, ...], ...] = (
    *(("run", view) for view in get_args(View)),
    ("run", "panel"),
    ("compare", "panel"),
    ("runs",),
    ("lesson",),
)
"""Scopes whose keys work at the same time."""

MODIFIERS = frozenset(("alt", "ctrl", "hyper", "meta", "shift", "super"))

RESERVED = {"ctrl+q": "always quits", "ctrl+c": "always interrupts"}
"""Keys that cannot have another effect."""

CANDIDATES = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
"""Keys to suggest in place of one that is taken."""


class OwnKeys(NamedTuple):
    """The own keys that hold."""

    keymap: dict[str, str]
    """Textual's names of keys, separated by commas, by id of the key table."""

    problems: tuple[str, ...]
    """Mistakes, each a line with a fix."""

    held: frozenset[str]
    """Ids or names of keys, as they are given, that have no mistake."""


def own_keys(loaded: LoadedSettings) -> OwnKeys:
    """Return the own keys of the settings; one with a mistake keeps its default keys."""
    keymap: dict[str, str] = {}
    origins: dict[str, str] = {}
    problems: list[str] = []
    given = loaded.values.keys
    # A name without a scope stands for the keys of that name in all scopes.
    for id_ in sorted(given, key=lambda id_: "." in id_):
        try:
            names = ",".join(dict.fromkeys(map(_checked_name, given[id_].split(","))))
            for found in _find(id_):
                keymap[found], origins[found] = names, id_
        except ValueError as error:
            problems.append(f"{loaded.place(f'keys.{id_}')}: {error}")
    while conflict := _first_conflict(keymap, list(given), origins):
        wrong, text = conflict
        problems.append(f"{loaded.place(f'keys.{wrong}')}: {text}")
        keymap = {id_: names for id_, names in keymap.items() if origins[id_] != wrong}
    return OwnKeys(keymap, tuple(problems), frozenset(origins[id_] for id_ in keymap))


def _find(given: str) -> list[str]:
    """Return the ids of the keys that an id, or a name without a scope, stands for.

    Raises:
        ValueError: there is none.
    """
    ids = [key.id for key in KEYS if given in (key.id, key.name)]
    if not ids:
        names = dict.fromkeys(chain((key.id for key in KEYS), (key.name for key in KEYS)))
        hint = _suggestion(given, names) or "; their ids are in the file of: cnn-tui settings edit"
        raise ValueError(f"no key has this id{hint}")
    return ids


def _checked_name(text: str) -> str:
    """Return Textual's name of a key, such as `question_mark` for `?`.

    Raises:
        ValueError: there is no such key.
    """
    plain = {shown: name for name, shown in KEY_NAMES.items()}.get(text, text)
    *modifiers, base = ["plus"] if plain == "+" else plain.split("+")
    base = _character_to_key(base) if len(base) == 1 else base
    is_known = len(base) == 1 or base in _known_names() or bool(key_to_character(base))
    if not is_known or not MODIFIERS.issuperset(modifiers):
        known = [*_known_names(), *(f"ctrl+{letter}" for letter in CANDIDATES[:26])]
        hint = _suggestion(text.replace(" ", "+"), known) or "; write a character or a name like f2"
        raise ValueError(f"{text!r} is no key{hint}")
    if modifiers == ["shift"] and len(base) == 1:
        raise ValueError(f"{text!r} is no key of terminals; write {base.upper()!r}")
    name = "+".join([*sorted(modifiers), base.lower() if "ctrl" in modifiers else base])
    if name in RESERVED:
        raise ValueError(f"{text!r} {RESERVED[name]}; choose another key")
    return name


@cache
def _known_names() -> frozenset[str]:
    """Return the names of the keys that are no characters, and of some characters."""
    return frozenset(
        name
        for name in (*(key.value for key in Keys), *KEY_NAME_REPLACEMENTS.values(), *KEY_NAMES)
        if "+" not in name and "<" not in name
    )


def _first_conflict(
    keymap: Mapping[str, str], order: list[str], origins: Mapping[str, str]
) -> tuple[str, str] | None:
    """Return the last own key of two that are the same in one place, and why; None without any."""
    for scopes in TOGETHER:
        keys = keys_for(*scopes, keymap=keymap)
        for name, same in _by_name(keys).items():
            changed = [key for key in same if key.id in keymap]
            if len(same) < 2 or not changed:
                continue
            wrong = max(changed, key=lambda key: order.index(origins[key.id]))
            other = next(key for key in same if key is not wrong)
            ids = [id_ for id_ in keymap if origins[id_] == origins[wrong.id]]
            free = _free({key.scope for key in KEYS if key.id in ids}, keymap)
            text = (
                f"{replace(wrong, keys=name).shown} is the key of {other.id} too ({other.help}); "
                f"give that another key, or choose a free one, such as {free}"
            )
            return origins[wrong.id], text
    return None


def _by_name(keys: Iterable[Key]) -> dict[str, list[Key]]:
    found = defaultdict[str, list[Key]](list)
    for key in keys:
        for name in key.keys.split(","):
            found[name].append(key)
    return found


def _free(scopes: Collection[Scope], keymap: Mapping[str, str]) -> str:
    """Return three characters that are no key where those of the scopes work, with commas."""
    scopes = {scope for together in TOGETHER if {*together} & {*scopes} for scope in together}
    taken = _by_name(keys_for(*scopes, keymap=keymap))
    free = (character for character in CANDIDATES if character not in taken)
    return ", ".join(islice(free, 3))


def _suggestion(given: str, known: Iterable[str]) -> str:
    from cnn_engine.config.suggestion import suggest  # noqa: PLC0415 - only for a mistake

    return suggest(given, [*known])
