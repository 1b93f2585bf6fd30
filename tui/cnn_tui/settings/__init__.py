"""Settings that stay: from `config.toml` in the user's config directory, and from variables."""

from cnn_tui.settings.load import LoadedSettings, load_settings
from cnn_tui.settings.schema import DEFAULT_OPTIONS, OnHangup, Options, Settings, ThemeName

__all__ = [
    "DEFAULT_OPTIONS",
    "LoadedSettings",
    "OnHangup",
    "Options",
    "Settings",
    "ThemeName",
    "load_settings",
]
