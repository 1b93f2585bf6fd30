"""Reads and validates configs from presets, TOML files and run logs, with `--set KEY=VALUE`.

Presets are TOML files shipped with the package. All problems are reported at once, with their keys.
"""

import json
import re
import tomllib
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from cnn_engine.config.paths import exists, expand_home
from cnn_engine.config.preset_files import list_presets
from cnn_engine.config.renamed_keys import RENAMED_KEYS, rename_config_keys
from cnn_engine.config.schema import Config
from cnn_engine.config.suggestion import suggest
from cnn_engine.errors import ConfigError

MAX_CONFIG_BYTES = 1_000_000

MAX_SHOWN = 200
"""Maximum number of characters of an invalid value in a message."""


def load_config(name_or_path: str, overrides: Sequence[str] = ()) -> Config:
    """Read a preset or a TOML file, apply `KEY=VALUE` overrides in order, and validate it.

    Raises:
        ConfigError: lists every problem with its key.
    """
    return from_dict(_read_toml(_find(name_or_path)), overrides, allow_code=True)


def from_dict(
    tables: dict[str, Any], overrides: Sequence[str] = (), *, allow_code: bool = False
) -> Config:
    """Validate a config in memory, such as the one in a run's log.

    Args:
        tables: Values by table and key; not modified.
        overrides: Changed values, each as `KEY=VALUE`.
        allow_code: Allow a user-defined model. Its code is imported, and the author of a run
            directory may have chosen it; a config file given by the user is trusted.

    Raises:
        ConfigError: lists every problem with its key, or code is not allowed.
    """
    try:
        tables = deepcopy(rename_config_keys(tables))
        for override in overrides:
            _apply_override(tables, override)
        config = Config.model_validate_json(_json(tables))
    except (ValidationError, RecursionError) as error:
        # Newer Pythons write text that pydantic finds too deep to read.
        if isinstance(error, RecursionError) or error.errors()[0]["type"] == "json_invalid":
            raise ConfigError("config: its values are nested too deeply") from None
        raise ConfigError(*_problems(error)) from None
    if config.model.is_user_model and not allow_code:
        raise ConfigError(
            f"model.name: {config.model.name!r} is code that would be imported from the current "
            "directory; if you trust it, add --allow-code"
        )
    return config


def _json(tables: dict[str, Any]) -> str:
    # Strict pydantic accepts an array for a tuple only from JSON. TOML dates become strings, which
    # validation refuses.
    return json.dumps(tables, default=str)


def _find(name_or_path: str) -> Path:
    known = list_presets()
    if name_or_path in known:
        return known[name_or_path]
    path = Path(expand_home(name_or_path))
    if exists(path):
        return path
    raise ConfigError(
        f"config: no preset or file {name_or_path!r}{suggest(name_or_path, known)} "
        f"(presets: {', '.join(known)})"
    )


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        if path.is_dir():
            raise ConfigError(f"{path}: is a directory; pass a TOML file")
        if path.stat().st_size > MAX_CONFIG_BYTES:
            raise ConfigError(f"{path}: is larger than {MAX_CONFIG_BYTES:,} bytes; not a config")
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text (byte {error.start})") from None
    except ValueError as error:  # also a number of thousands of digits
        raise ConfigError(f"{path}: is not valid TOML: {error}") from None
    except RecursionError:
        raise ConfigError(f"{path}: its values are nested too deeply") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None


def _apply_override(tables: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    path = RENAMED_KEYS.get(key.strip(), key.strip()).split(".")
    if not equals or not all(path):
        raise ConfigError(f"--set {override}: expected KEY=VALUE, such as train.epochs=5")
    table = tables
    for part in path[:-1]:
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            raise ConfigError(f"--set {override}: {part} is a value, not a table")
    table[path[-1]] = parse_value(text.strip())


def parse_value(text: str) -> Any:  # noqa: ANN401 - any TOML value
    """Return a value as TOML reads it (`0.1`, `true`, `[1, 2]`); any other text as a string."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        return text


def format_value(value: Any) -> str:  # noqa: ANN401 - any config value
    """Return the text that `parse_value` reads as this value; empty for None."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value if parse_value(value) == value else json.dumps(value)
    return json.dumps(value)


def _problems(error: ValidationError) -> list[str]:
    """Return one line per problem, except for lists that are too short without invalid items."""
    errors = error.errors()
    parents = {found["loc"][:-1] for found in errors}
    return [
        _problem(found)
        for found in errors
        if found["type"] != "too_short" or found["loc"] not in parents
    ]


def _problem(error: Any) -> str:  # noqa: ANN401 - pydantic's ErrorDetails, or a similar dict
    """Return one of pydantic's errors as one line that names the key."""
    path = ".".join(map(str, error["loc"]))
    match error["type"]:
        case "extra_forbidden":
            return f"{path}: unknown key{suggest(path, list_keys())}"
        case "missing":
            return f"{path}: is missing"
        case "value_error":
            return f"{path}.{error['ctx']['error']}".lstrip(".")
        case "literal_error":
            value, expected = _shortened(str(error["input"])), error["ctx"]["expected"]
            hint = suggest(value, re.findall(r"'([^']*)'", expected))
            return f"{path}: {value!r} is not one of {expected}{hint}"
        case _:
            return f"{path}: {requirement(error)}"


def requirement(error: Any) -> str:  # noqa: ANN401 - pydantic's ErrorDetails, or a similar dict
    """Return what a value must be, and the value: `must be greater than 0 (got -1)`."""
    message = error["msg"].replace("Input should be", "must be").partition(", unable to parse")[0]
    return f"{message} (got {_shortened(repr(error['input']))})"


def _shortened(text: str) -> str:
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"


def list_keys() -> list[str]:
    """Return the dotted keys of all config values: `data.source`, `train.epochs`, …."""
    return [
        f"{table}.{key}"
        for table, field in Config.model_fields.items()
        for key in field.annotation.model_fields  # type: ignore[union-attr]  # all are Tables
    ]
