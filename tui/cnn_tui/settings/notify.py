"""Receivers of messages about runs, as the settings name them."""

from typing import NamedTuple

from cnn_engine.errors import ConfigError
from cnn_engine.notifications.targets import Targets
from cnn_engine.notifications.urls import check_url
from cnn_tui.settings.load import load_settings


class SettingsTargets(NamedTuple):
    """Receivers of messages about new runs."""

    targets: Targets

    problems: tuple[str, ...]
    """A line for each URL that cannot be used, and is left out."""


def settings_targets() -> SettingsTargets:
    """Return the receivers that the settings name."""
    settings = load_settings().values.notify
    urls, problems = [], []
    for url in settings.url:
        try:
            urls.append(check_url(url, "settings: notify.url"))
        except ConfigError as error:
            problems.append(str(error))
    targets = Targets(
        urls=tuple(dict.fromkeys(urls)),
        events=tuple(settings.events),
        on_end=settings.on_end.strip(),
    )
    return SettingsTargets(targets, tuple(problems))
