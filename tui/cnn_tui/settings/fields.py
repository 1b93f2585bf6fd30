"""The settings as a table: key, type, default, explanation, and the names that change one."""

from functools import cache
from typing import Any, NamedTuple, get_args

from msgspec import NODEFAULT, Meta
from msgspec.structs import FieldInfo, fields

from cnn_tui.settings.schema import Settings

PREFIX = "CNN_TUI_"
"""Start of the names of variables."""

KEYS = "keys"
"""Section of the own keys, whose names are ids instead of fields."""


class Setting(NamedTuple):
    """One setting."""

    section: str
    """Table in the file; empty for `keys`, which is one itself."""

    name: str
    type: Any
    """Type of its values, with limits."""

    default: Any

    @property
    def key(self) -> str:
        """Dotted key in the file: `display.theme`."""
        return f"{self.section}.{self.name}" if self.section else self.name

    @property
    def kind(self) -> Any:  # noqa: ANN401 - any type
        """Type of its values, without limits."""
        return get_args(self.type)[0]

    @property
    def meta(self) -> Meta:
        """Limits and explanation."""
        found: Meta = get_args(self.type)[1]
        return found

    @property
    def variable(self) -> str:
        """Environment variable that goes before the file: `CNN_TUI_THEME`."""
        prefix = "NOTIFY_" if self.section == "notify" else ""
        return f"{PREFIX}{prefix}{self.name.upper()}"

    @property
    def option(self) -> str:
        """Option of the command line that goes before both; empty if there is none."""
        return str((self.meta.extra or {}).get("option", ""))

    @property
    def description(self) -> str:
        """Explanation, in whole sentences."""
        return self.meta.description or ""


@cache
def all_settings() -> tuple[Setting, ...]:
    """Return all settings in the order of the file; own keys are one setting, `keys`."""
    found: list[Setting] = []
    for section in fields(Settings):
        if section.name == KEYS:
            found.append(_setting("", section))
        else:
            found += [_setting(section.name, field) for field in fields(section.type)]
    return tuple(found)


def _setting(section: str, field: FieldInfo) -> Setting:
    is_made = field.default is NODEFAULT
    default = field.default_factory() if is_made else field.default
    return Setting(section, field.name, field.type, default)
