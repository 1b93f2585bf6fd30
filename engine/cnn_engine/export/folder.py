"""Atomic writing of a folder of files."""

import os
import shutil
from pathlib import Path

from cnn_engine.errors import ConfigError, StorageError
from cnn_engine.export import Files
from cnn_engine.storage.atomic import write_atomically

LEFT_BY_PYTHON = "__pycache__"
"""Directory that running an example leaves in its folder."""


def check_target(target: Path, *, replace: bool) -> None:
    """Check that the folder may be written, before the export starts.

    Raises:
        ConfigError: it is there already.
    """
    if os.path.lexists(target) and not replace:
        raise ConfigError(
            f"{target}: is there already; --force replaces it, -o names another place"
        )


def write_folder(target: Path, files: Files, *, replace: bool) -> None:
    """Write a folder of files in one step.

    Args:
        target: Where; folders above it are made.
        files: Its content.
        replace: Whether a folder of files with the same names may be replaced.

    Raises:
        ConfigError: something else is there.
        StorageError: it cannot be written; what was there before stands.
    """
    check_target(target, replace=replace)
    target = target.resolve()
    _refuse_foreign(target, files)
    new, old = (target.with_name(f".{target.name}.{os.getpid()}.{end}") for end in ("new", "old"))
    try:
        new.mkdir(parents=True)
        for name, content in files.items():
            write_atomically(new / name, content)
        if target.exists():
            target.rename(old)
        new.rename(target)
    except OSError as error:
        if old.exists():
            old.rename(target)
        raise StorageError(f"{target}: cannot be written: {error.strerror}") from None
    finally:
        shutil.rmtree(new, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)


def _refuse_foreign(target: Path, files: Files) -> None:
    """Refuse a folder that holds other files, so that a mistyped path loses nothing."""
    if not target.exists():
        return
    if not target.is_dir():
        raise ConfigError(f"{target}: is no folder; name another place with -o")
    try:
        foreign = sorted({path.name for path in target.iterdir()} - {*files, LEFT_BY_PYTHON})
    except OSError as error:
        raise StorageError(f"{target}: cannot be read: {error.strerror}") from None
    if foreign:
        raise ConfigError(
            f"{target}: holds other files than such an export ({foreign[0]}), which are not "
            "replaced; name another place with -o"
        )
