"""Where an export goes: a file that is whole or not there, or standard output."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from cnn_engine.errors import StorageError
from cnn_engine.export.folder import check_target

STDOUT = Path("-")


@contextmanager
def text_output(path: Path, *, force: bool) -> Iterator[TextIO]:
    """A text to be written to, which stands under its name once it is whole.

    Args:
        path: Where; `-` is standard output.
        force: Whether a file that is there already is replaced.

    Raises:
        ConfigError: there is such a file, and it is not to be replaced.
        StorageError: it cannot be written.
    """
    if path == STDOUT:
        yield sys.stdout
        return
    check_target(path, replace=force)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w", encoding="utf-8", newline="") as out:
            yield out
        temporary.replace(path)
    except BaseException as error:
        with suppress(OSError):  # where it could not even be made
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            reason = error.strerror or error
            raise StorageError(f"{path}: cannot be written: {reason}") from None
        raise
