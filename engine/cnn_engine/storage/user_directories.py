"""The user's directories for data, caches, settings and state, also without a home directory."""

import os
from pathlib import Path

from platformdirs import user_cache_path, user_config_path, user_data_path, user_state_path

NOWHERE = Path(os.devnull) / "no-home-directory"
"""Stands for a directory in an unknown home: nothing exists in it, and nothing can be written."""


def user_data_directory() -> Path:
    """Return the user's directory for data of this program, or `NOWHERE`."""
    try:
        return user_data_path("cnn-tui")
    except RuntimeError:  # HOME is not set, and the user has no entry in the passwd file
        return NOWHERE


def user_cache_directory() -> Path:
    """Return the user's directory for caches of this program, or `NOWHERE`."""
    try:
        return user_cache_path("cnn-tui")
    except RuntimeError:
        return NOWHERE


def user_config_directory() -> Path:
    """Return the user's directory for settings of this program, or `NOWHERE`."""
    try:
        return user_config_path("cnn-tui")
    except RuntimeError:
        return NOWHERE


def user_state_directory() -> Path:
    """Return the user's directory for the state of this program, or `NOWHERE`."""
    try:
        return user_state_path("cnn-tui")
    except RuntimeError:
        return NOWHERE
