"""Finds misspelt names of settings and of variables."""

from collections.abc import Iterator, Mapping

from cnn_engine.notifications.variables import FIELDS
from cnn_tui.settings.fields import KEYS, PREFIX, all_settings
from cnn_tui.settings.file import FILE_VARIABLE, SettingsFile

OTHER_VARIABLES = (FILE_VARIABLE, "CNN_TUI_MODE", *FIELDS)
"""Variables of this program that are no settings."""


def unknown_keys(file: SettingsFile) -> Iterator[str]:
    """Yield a line for each key that is no setting, and for each section that is no table."""
    known = [setting.key for setting in all_settings()]
    for section, table in file.tables.items():
        names = [setting.name for setting in all_settings() if setting.section == section]
        if section == KEYS or names:
            if not isinstance(table, dict):
                yield f"{file.place(section)}: must be a table; write [{section}] above its keys"
                continue
            unknown = [name for name in table if section != KEYS and name not in names]
            keys = [f"{section}.{name}" for name in unknown]
        else:
            keys = [section]
        for key in keys:
            hint = _suggestion(key, known) or "; list the settings with: cnn-tui settings"
            yield f"{file.place(key)}: unknown setting{hint}"


def unknown_variables(environment: Mapping[str, str]) -> Iterator[str]:
    """Yield a line for each variable whose name is almost that of a setting."""
    names = [*(setting.variable for setting in all_settings()), *OTHER_VARIABLES]
    known = [name.removeprefix(PREFIX) for name in names]
    for name in environment:
        rest = name.removeprefix(PREFIX)
        if name.startswith(PREFIX) and rest not in known and (hint := _suggestion(rest, known)):
            meant = hint.replace("'", f"'{PREFIX}", 1)
            yield f"{name}: unknown variable{meant}"


def _suggestion(name: str, known: list[str]) -> str:
    from cnn_engine.config.suggestion import suggest  # noqa: PLC0415 - only for a mistake

    return suggest(name, known)
