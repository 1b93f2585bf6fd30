"""Which git revision a run was started in, asked of git while PyTorch is imported."""

import os
import subprocess
from contextlib import suppress
from typing import Self

LONGEST_SECONDS = 2.0
"""Waited once all else is loaded: in a repository so large that git takes longer, the run does
without."""

COMMAND = (
    "git",
    # A repository may name a program here, which is none of ours to start.
    *("-c", "core.fsmonitor=false"),
    *("status", "--porcelain=v2", "--branch", "--untracked-files=no", "--ignore-submodules"),
)


class Revision:
    """A git that is at work, and its answer."""

    def __init__(self) -> None:
        """Ask about the working directory, and wait for nothing."""
        self._git: subprocess.Popen[bytes] | None = None
        with suppress(OSError):  # no git is installed, and so there is no revision
            self._git = subprocess.Popen(  # noqa: S603 - no word of it is from outside
                COMMAND,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                # Else git may write to the repository, only to be quicker another time.
                env=os.environ | {"GIT_OPTIONAL_LOCKS": "0"},
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """End it, in case that nobody waited for its answer because the run ended before."""
        if self._git is not None:
            with self._git as git:
                git.kill()

    def text(self) -> str:
        """`d802738a1b2c`, perhaps `with changes`; empty outside of a repository. Once only."""
        if self._git is None:
            return ""
        with self._git as git:
            try:
                output, _ = git.communicate(timeout=LONGEST_SECONDS)
            except subprocess.TimeoutExpired:
                git.kill()
                return ""
        return _revision_in(output) if git.returncode == 0 else ""


def _revision_in(status: bytes) -> str:
    """The commit that git's status names, and whether tracked files differ from it."""
    lines = status.decode(errors="replace").splitlines()
    heads = [
        line.removeprefix("# branch.oid ") for line in lines if line.startswith("# branch.oid")
    ]
    changed = any(not line.startswith("#") for line in lines)
    return f"{heads[0][:12]}{' with changes' if changed else ''}" if heads else ""
