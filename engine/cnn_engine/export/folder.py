"""Atomic writing of a folder of files."""

import os
import shutil
from pathlib import Path

from cnn_engine.config.paths import exists
from cnn_engine.errors import ConfigError, StorageError
from cnn_engine.export import Files
from cnn_engine.storage.atomic import write_atomically

LEFT_BY_PYTHON = "__pycache__"
"""Directory that running an example leaves in its folder."""


def check_target(target: Path, *, replace: bool) -> None:
    """Check that the folder may be written; call it before a slow export.

    Raises:
        ConfigError: it exists and `replace` is False.
    """
    if os.path.lexists(target) and not replace:
        raise ConfigError(
            f"{target}: already exists; replace it with --force, or choose another with -o"
        )


def write_folder(target: Path, files: Files, *, replace: bool) -> None:
    """Write a folder of files in one step.

    Args:
        target: The folder; missing parents are created.
        files: Its content.
        replace: Replace an earlier export.

    Raises:
        ConfigError: it exists and `replace` is False, or it is not an export of this format.
        StorageError: it cannot be written; an earlier export is kept.
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
    """Raise if the folder contains other files, so that a mistyped path destroys nothing."""
    if not exists(target):
        return
    if not target.is_dir():
        raise ConfigError(f"{target}: is not a folder; choose another with -o")
    try:
        foreign = sorted({path.name for path in target.iterdir()} - {*files, LEFT_BY_PYTHON})
    except OSError as error:
        raise StorageError(f"{target}: cannot be read: {error.strerror}") from None
    if foreign:
        raise ConfigError(
            f"{target}: contains a file that is not part of this export ({foreign[0]}) and is not "
            "replaced; choose another folder with -o"
        )
