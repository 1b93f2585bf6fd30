"""Reads the git revision of the working directory while PyTorch is imported."""

import os
import subprocess
from contextlib import suppress
from typing import Self

MAX_WAIT_SECONDS = 2.0
"""Maximum time to wait for git after loading; in a huge repository the revision is omitted."""

COMMAND = (
    "git",
    # The repository's config may name a program to start.
    *("-c", "core.fsmonitor=false"),
    *("status", "--porcelain=v2", "--branch", "--untracked-files=no", "--ignore-submodules"),
)


class Revision:
    """A running `git status` and its result."""

    def __init__(self) -> None:
        """Start git in the working directory without waiting for it."""
        self._git: subprocess.Popen[bytes] | None = None
        with suppress(OSError):  # git is not installed
            self._git = subprocess.Popen(  # noqa: S603 - a constant command
                COMMAND,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                # Keeps git from writing its index to the repository.
                env=os.environ | {"GIT_OPTIONAL_LOCKS": "0"},
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """End git if it is still running because the run failed early."""
        if self._git is not None:
            with self._git as git:
                git.kill()

    def text(self) -> str:
        """Return `d802738a1b2c`, perhaps `with changes`; "" outside a repository. Call it once."""
        if self._git is None:
            return ""
        with self._git as git:
            try:
                output, _ = git.communicate(timeout=MAX_WAIT_SECONDS)
            except subprocess.TimeoutExpired:
                git.kill()
                return ""
        return _revision_in(output) if git.returncode == 0 else ""


def _revision_in(status: bytes) -> str:
    """Return the commit that git status names, and mark it if tracked files differ."""
    lines = status.decode(errors="replace").splitlines()
    heads = [
        line.removeprefix("# branch.oid ") for line in lines if line.startswith("# branch.oid")
    ]
    changed = any(not line.startswith("#") for line in lines)
    return f"{heads[0][:12]}{' with changes' if changed else ''}" if heads else ""
