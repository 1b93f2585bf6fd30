"""Reads the settings: variables go before `config.toml`, and that before the defaults."""

import os
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from typing import Any, NamedTuple

from cnn_engine.config.paths import exists as path_exists
from cnn_engine.config.paths import expand_home, is_directory
from cnn_tui.settings.fields import KEYS, PREFIX, Setting, all_settings
from cnn_tui.settings.file import SettingsFile, config_path, read_file
from cnn_tui.settings.own_keys import keys_of_table, keys_of_variable
from cnn_tui.settings.schema import NotifySettings, Options, RunSettings, Settings
from cnn_tui.settings.unknown import unknown_keys, unknown_variables
from cnn_tui.settings.values import WrongValueError, checked, parse

DEFAULT, FILE = "default", "file"
"""Sources of a value; the others are names of variables."""


class LoadedSettings(NamedTuple):
    """The settings that hold."""

    values: Settings
    sources: dict[str, str]
    """By dotted key, such as `display.theme`: `default`, `file`, or the name of a variable."""

    problems: tuple[str, ...]
    """Mistakes in the file and the variables, each a line that names the key and a fix."""

    file: SettingsFile

    def place(self, key: str) -> str:
        """Return the file with the line of a key and the key, or the variable that sets it."""
        source = self.sources.get(key, FILE)
        return self.file.place(key) if source == FILE else source


@cache
def load_settings() -> LoadedSettings:
    """Return the settings of this process; a mistake in one leaves the others as they are."""
    return read_settings(read_file(config_path()), os.environ)


def read_settings(file: SettingsFile, environment: Mapping[str, str]) -> LoadedSettings:
    """Return the settings of a file and of environment variables."""
    problems = [*file.problems, *unknown_keys(file)]
    sections: dict[str, dict[str, Any]] = {}
    sources: dict[str, str] = {}
    for setting in all_settings():
        if setting.key != KEYS:
            value, source = _read(setting, file, environment, problems)
            sections.setdefault(setting.section, {})[setting.name] = value
            sources[setting.key] = source
    keys = {}
    for id_, names, source in _own_keys(file, environment):
        if names:
            keys[id_], sources[f"{KEYS}.{id_}"] = names, source
        else:
            place = file.place(f"{KEYS}.{id_}") if source == FILE else source
            problems.append(f'{place}: must be names of keys in quotes, such as "space" or "f2,x"')
    problems += unknown_variables(environment)
    values = Settings(
        display=Options(**sections["display"]),
        run=RunSettings(**sections["run"]),
        notify=NotifySettings(**sections["notify"]),
        keys=keys,
    )
    return LoadedSettings(values, sources, tuple(problems), file)


def _read(
    setting: Setting, file: SettingsFile, environment: Mapping[str, str], problems: list[str]
) -> tuple[Any, str]:
    """Return the value of a setting and its source; add a line for each mistake to `problems`."""
    value, source = setting.default, DEFAULT
    for found_source, read in _given(setting, file, environment):
        try:
            value, source = _usable(setting, read()), found_source
        except WrongValueError as error:
            place = file.place(setting.key) if found_source == FILE else found_source
            problems.append(f"{place}: {error}")
    return value, source


def _given(
    setting: Setting, file: SettingsFile, environment: Mapping[str, str]
) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Yield the sources that set it and functions that read it; the last one goes first."""
    table = file.tables.get(setting.section)
    if isinstance(table, dict) and setting.name in table:
        yield FILE, partial(checked, setting, table[setting.name])
    if text := environment.get(setting.variable):
        yield setting.variable, partial(parse, setting, text)


def _own_keys(
    file: SettingsFile, environment: Mapping[str, str]
) -> Iterator[tuple[str, str | None, str]]:
    """Yield ids of keys, names of own keys or None for a mistake, and the source."""
    table = file.tables.get(KEYS)
    for id_, names in keys_of_table(table if isinstance(table, dict) else {}):
        yield id_, names, FILE
    variable = f"{PREFIX}{KEYS.upper()}"
    for id_, names in keys_of_variable(environment.get(variable, "")):
        yield id_, names, variable


def _usable(setting: Setting, value: Any) -> Any:  # noqa: ANN401 - any setting
    """Return a value that this machine can use.

    Raises:
        WrongValueError: the directory of the runs is a file.
    """
    if setting.key != "run.runs_dir" or not value:
        return value
    path = expand_home(value)
    if path_exists(path) and not is_directory(path):
        raise WrongValueError(f"{path!r} is not a directory; name one")
    return path
