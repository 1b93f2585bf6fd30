"""Shell commands to suggest, which call the program as the user called it."""

import os
import shlex
import shutil
import sys
from pathlib import Path

from cnn_engine.system.uvx import is_uvx

NAME = "cnn-tui"


def shell_command(*words: str) -> str:
    """Return a command of this program to paste into a shell: `.venv/bin/cnn-tui resume latest`.

    Args:
        *words: Command, options and arguments, quoted here as the shell needs it.
    """
    return shlex.join([*_program(), *words])


def module_name() -> str | None:
    """Return `PYTHON -m cnn_tui` if the program was called so, for its usage; None otherwise."""
    return shlex.join(_program()) if _is_module() else None


def _is_module() -> bool:
    called = Path(sys.argv[0])
    return called.name == "__main__.py" and called.parent.name == "cnn_tui"


def _program() -> tuple[str, ...]:
    """Return the words that call this program; `cnn-tui` if another program imports it."""
    if _is_module():
        return sys.orig_argv[0], "-m", "cnn_tui"
    called = Path(sys.argv[0])
    if called.name != NAME or os.sep not in sys.argv[0]:
        return (NAME,)
    if is_uvx():
        from cnn_engine.system.installation import find_installation  # noqa: PLC0415 - slow

        return "uvx", "--from", find_installation().source or NAME, NAME
    found = shutil.which(NAME)
    is_on_path = found is not None and os.path.realpath(found) == os.path.realpath(called)
    return (NAME,) if is_on_path else (sys.argv[0],)
