"""The settings that hold, as a table or for JSON."""

import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from rich.text import Text

from cnn_engine.config.paths import exists
from cnn_tui.reports.console import results_console
from cnn_tui.reports.fitting_table import FittingTable
from cnn_tui.settings import LoadedSettings
from cnn_tui.settings.fields import KEYS, all_settings
from cnn_tui.settings.load import DEFAULT
from cnn_tui.settings.values import masked
from cnn_tui.text.safe import escaped, safe_text

HEADINGS = ("setting", "value", "from", "option", "variable")
OPTIONAL_COLUMNS = (3, 4)
LEFT_COLUMNS = (0, 1, 2, 3, 4)


class Row(NamedTuple):
    """A setting and its value."""

    key: str
    value: Any
    """Without the secret parts of addresses."""

    source: str
    option: str
    variable: str
    description: str


def rows(loaded: LoadedSettings) -> Iterator[Row]:
    """Yield all settings in the order of the file, and the own keys, each with its id."""
    for setting in all_settings():
        names = (setting.option, setting.variable, setting.description)
        if setting.key == KEYS:
            for id_, keys in loaded.values.keys.items():
                key = f"{KEYS}.{id_}"
                yield Row(key, keys, loaded.sources[key], *names)
        else:
            value = getattr(getattr(loaded.values, setting.section), setting.name)
            yield Row(setting.key, _masked(value), loaded.sources[setting.key], *names)


def to_dict(loaded: LoadedSettings, problems: Sequence[str]) -> dict[str, Any]:
    """Return the settings for JSON, with their file and the mistakes in it."""
    settings = {
        row.key: {
            "value": row.value,
            "source": row.source,
            "option": row.option,
            "variable": row.variable,
            "description": row.description,
        }
        for row in rows(loaded)
    }
    path = loaded.file.path
    return {
        "file": str(path),
        "exists": exists(path),
        "settings": settings,
        "problems": [*problems],
    }


def print_settings(loaded: LoadedSettings) -> None:
    """Print the file, and a table of all settings; those that were set are bold."""
    console = results_console()
    path = loaded.file.path
    note = "" if exists(path) else " (does not exist yet; create it with: cnn-tui settings edit)"
    console.print(Text(f"{escaped(str(path), 4000)}{note}"), soft_wrap=True)
    console.print()
    cells: list[list[str | Text]] = [
        [
            Text(row.key),
            Text(_value_text(row.value), "" if row.source == DEFAULT else "bold"),
            row.source,
            row.option,
            row.variable,
        ]
        for row in rows(loaded)
    ]
    console.print(FittingTable(HEADINGS, cells, OPTIONAL_COLUMNS, LEFT_COLUMNS))


def _value_text(value: object) -> str:
    """Return a value as in the file."""
    return safe_text(json.dumps(value, ensure_ascii=False), 200)


def _masked(value: object) -> object:
    if isinstance(value, list):
        return [masked(item) for item in value]
    return masked(value) if isinstance(value, str) else value
