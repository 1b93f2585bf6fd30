"""Imports libraries that only some functions need."""

from importlib import import_module
from types import ModuleType

from cnn_engine.errors import ConfigError
from cnn_engine.system.installation import extra_command


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
        missing = error.name or name
        command = extra_command("export", missing)
        raise ConfigError(f"{purpose}: needs {missing}; install it with: {command}") from None
