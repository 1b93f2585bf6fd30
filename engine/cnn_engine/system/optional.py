"""Imports libraries that only some functions need."""

from importlib import import_module
from types import ModuleType

from cnn_engine.errors import ConfigError


def import_optional(name: str, purpose: str) -> ModuleType:
    """Import and return a library of the extra `export`.

    Args:
        name: Name of the module.
        purpose: What it is needed for, for the message.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise ConfigError(
            f"{purpose}: needs {error.name or name}: pip install 'cnn-tui[export]'"
        ) from None
