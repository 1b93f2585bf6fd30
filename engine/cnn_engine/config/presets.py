"""Configs as they are read: from presets, TOML files and logs, with `--set KEY=VALUE`, and checked.

Presets are TOML files that are shipped with the package. Whatever is wrong is told before anything
starts, all at once, each problem with its key.
"""

import json
import re
import tomllib
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from cnn_engine.config.renamed_keys import RENAMED_KEYS, rename_old_keys
from cnn_engine.config.schema import Config
from cnn_engine.config.suggestion import suggest
from cnn_engine.errors import ConfigError

MAX_CONFIG_BYTES = 1_000_000


def list_presets() -> dict[str, Path]:
    """The shipped configs by name, sorted."""
    paths = {path.stem: path for path in _preset_dir().glob("*.toml")}
    return dict(sorted(paths.items()))


def _preset_dir() -> Path:
    installed = Path(__file__).parents[1] / "configs"
    return installed if installed.is_dir() else Path(__file__).parents[3] / "configs"


def load_config(name_or_path: str, overrides: Sequence[str] = ()) -> Config:
    """Read a preset or a TOML file, apply `KEY=VALUE` overrides in order, and check it whole.

    Raises:
        ConfigError: naming every problem with its key.
    """
    return from_dict(_read_toml(_find(name_or_path)), overrides, allow_code=True)


def from_dict(
    tables: dict[str, Any], overrides: Sequence[str] = (), *, allow_code: bool = False
) -> Config:
    """Check a config that is already in memory, such as the one in a run's log.

    Args:
        tables: The config, which is left as it is.
        overrides: Keys that have other values, each as `KEY=VALUE`.
        allow_code: Let it name a network that is imported: code, which whoever made the run's
            directory has chosen. Who writes a config and trains with it has allowed it by that.

    Raises:
        ConfigError: naming every problem with its key.
    """
    tables = deepcopy(rename_old_keys(tables))
    for override in overrides:
        _apply_override(tables, override)
    try:
        config = Config.model_validate_json(_json(tables))
    except ValidationError as error:
        raise ConfigError(*map(_problem, error.errors())) from None
    if config.model.is_user_model and not allow_code:
        raise ConfigError(
            f"model.name: the run's network is code, {config.model.name!r}, which would be "
            "imported from the current directory; if you trust it, add --allow-code"
        )
    return config


def _json(tables: dict[str, Any]) -> str:
    # Through JSON because pydantic's strict mode takes an array for a tuple only there. TOML's
    # dates, which JSON lacks, become text and are then refused as any other text would be.
    return json.dumps(tables, default=str)


def _find(name_or_path: str) -> Path:
    known = list_presets()
    if name_or_path in known:
        return known[name_or_path]
    path = Path(name_or_path)
    if path.exists():
        return path
    raise ConfigError(
        f"config: no preset and no file is named {name_or_path!r}{suggest(name_or_path, known)} "
        f"(presets: {', '.join(known)})"
    )


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        if path.is_dir():
            raise ConfigError(f"{path}: is a directory; give a TOML file")
        if path.stat().st_size > MAX_CONFIG_BYTES:
            raise ConfigError(f"{path}: is over {MAX_CONFIG_BYTES:,} bytes; not a config")
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text (byte {error.start})") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: is not valid TOML: {error}") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None


def _apply_override(tables: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    path = RENAMED_KEYS.get(key.strip(), key.strip()).split(".")
    if not equals or not all(path):
        raise ConfigError(f"--set {override}: write it as KEY=VALUE, such as train.epochs=5")
    table = tables
    for part in path[:-1]:
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            raise ConfigError(f"--set {override}: {part} is a value, not a table")
    table[path[-1]] = parse_value(text.strip())


def parse_value(text: str) -> Any:  # noqa: ANN401 - any TOML value
    """`0.1`, `true` and `[1, 2]` as TOML reads them; anything else is the text itself."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def format_value(value: Any) -> str:  # noqa: ANN401 - any value of a config
    """How a value is typed, so that `value_of` reads the same; empty for one that is not set."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value if parse_value(value) == value else json.dumps(value)
    return json.dumps(value)


def _problem(error: Any) -> str:  # noqa: ANN401 - pydantic's ErrorDetails, or a dict like it
    """One of pydantic's errors as one line in our words."""
    path = ".".join(map(str, error["loc"]))
    match error["type"]:
        case "extra_forbidden":
            return f"{path}: unknown key{suggest(path, list_keys())}"
        case "missing":
            return f"{path}: is missing"
        case "value_error":
            return f"{path}.{error['ctx']['error']}".lstrip(".")
        case "literal_error":
            given, expected = str(error["input"]), error["ctx"]["expected"]
            close = suggest(given, re.findall(r"'([^']*)'", expected))
            return f"{path}: {given!r} is not one of {expected}{close}"
        case _:
            message = error["msg"].replace("Input should be", "must be")
            return f"{path}: {message} (got {error['input']!r})"


def list_keys() -> list[str]:
    """Every key a config may have, dotted: `data.source`, `train.epochs`, …."""
    return [
        f"{table}.{key}"
        for table, field in Config.model_fields.items()
        for key in field.annotation.model_fields  # type: ignore[union-attr]  # all are Tables
    ]
