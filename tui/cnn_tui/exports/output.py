"""The destination of an export: a file, written atomically, or standard output."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from cnn_engine.errors import StorageError
from cnn_engine.export.folder import check_target
from cnn_engine.storage.atomic import create_temporary

STDOUT = Path("-")


@contextmanager
def text_output(path: Path, *, force: bool) -> Iterator[TextIO]:
    """Open a text file that appears under its name only when it is complete.

    Args:
        path: File to write, UTF-8; `-` is standard output.
        force: Replace an existing file.

    Raises:
        ConfigError: the file exists, and `force` is not given.
        StorageError: the file cannot be written.
    """
    if path == STDOUT:
        yield sys.stdout
        return
    check_target(path, replace=force)
    temporary = None
    try:
        descriptor, temporary = create_temporary(path)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as out:
            yield out
            out.flush()
            temporary.replace(path)
    except BaseException as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            reason = error.strerror or error
            raise StorageError(f"{path}: cannot be written: {reason}") from None
        raise
