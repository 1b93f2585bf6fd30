"""A config as TOML, readable by `cnn-tui run FILE`."""

import json
import re
import unicodedata
from typing import Any

BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def to_toml(config: dict[str, Any]) -> str:
    """Return the config as TOML; None values are left out, because TOML has no null."""
    return "\n".join(_lines(config, ())).lstrip("\n") + "\n"


def _lines(table: dict[str, Any], path: tuple[str, ...]) -> list[str]:
    tables = {key: value for key, value in table.items() if isinstance(value, dict)}
    values = {key: value for key, value in table.items() if value is not None and key not in tables}
    lines = ["", f"[{'.'.join(map(_key, path))}]"] if path and (values or not tables) else []
    lines += [f"{_key(key)} = {_value(value)}" for key, value in values.items()]
    for key, inner in tables.items():
        lines += _lines(inner, (*path, key))
    return lines


def _key(key: str) -> str:
    return key if BARE_KEY.fullmatch(key) else _string(key)


def _value(value: Any) -> str:  # noqa: ANN401 - any JSON value
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(_value(item) for item in value if item is not None)}]"
    if isinstance(value, dict):
        pairs = (f"{_key(key)} = {_value(item)}" for key, item in value.items())
        return f"{{{', '.join(pairs)}}}"
    text = json.dumps(value)
    return {"NaN": "nan", "Infinity": "inf", "-Infinity": "-inf"}.get(text, text)


def _string(text: str) -> str:
    """Return a quoted string; control characters are escaped, lone surrogates become U+FFFD."""
    return f'"{"".join(map(_escaped, text))}"'


def _escaped(char: str) -> str:
    if char in '"\\':
        return f"\\{char}"
    category = unicodedata.category(char)
    if category == "Cs":
        return "\ufffd"
    if category.startswith("C"):
        return f"\\U{ord(char):08x}"
    return char
