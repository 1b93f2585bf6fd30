"""The installation of this program, and the command that installs further libraries beside it."""

import json
import os
import shlex
import shutil
import sys
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias
from urllib.parse import unquote, urlsplit

from cnn_engine.system.uvx import is_uvx

NAME = "cnn-tui"
"""Name of the distribution and of its program."""

Manager: TypeAlias = Literal["pip", "uv pip", "pipx", "uv tool", "uvx"]
"""Program that installs into the environment."""


class Installation(NamedTuple):
    """An installation of this program."""

    manager: Manager
    source: str
    """Directory, archive or repository that it was installed from; empty for a package index."""
    is_editable: bool


def find_installation() -> Installation:
    """Return how the running program was installed."""
    try:
        found = distribution(NAME).read_text("direct_url.json")
        origin = json.loads(found or "{}")
    except (PackageNotFoundError, ValueError):
        origin = {}
    is_editable = bool(origin.get("dir_info", {}).get("editable"))
    return Installation(_manager(Path(sys.prefix)), _source(origin), is_editable)


def install_command(*requirements: str) -> str:
    """Return the shell command that installs libraries where this program finds them.

    It names the libraries, not an extra of this program, whose name a package index may have given
    to another one.

    Args:
        *requirements: Such as `onnx>=1.18`.
    """
    manager, source, _ = find_installation()
    with_each = [word for requirement in requirements for word in ("--with", requirement)]
    match manager:
        case "pipx":
            words = ["pipx", "inject", Path(sys.prefix).name, *requirements]
        case "uv tool":
            words = ["uv", "tool", "install", *with_each, source or NAME]
        case "uvx":
            words = ["uvx", *with_each, "--from", source or NAME, NAME]
        case "uv pip":
            words = ["uv", "pip", "install", "--python", _python(), *requirements]
        case "pip":
            words = [_python(), "-m", "pip", "install", *requirements]
    return shlex.join(words)


def extra_command(extra: str, *modules: str) -> str:
    """Return the shell command that installs the libraries of an extra.

    Args:
        extra: A key of `project.optional-dependencies` in `pyproject.toml`.
        *modules: Libraries to name if the extra is unknown, because this program is not installed.
    """
    return install_command(*(extra_requirements(extra) or modules))


def extra_requirements(extra: str) -> list[str]:
    """Return the requirements of an extra, such as `onnx>=1.18`."""
    try:
        lines = distribution(NAME).requires or []
    except PackageNotFoundError:
        return []
    pairs = (line.replace('"', "'").partition(";")[::2] for line in lines)
    return [name.strip() for name, marker in pairs if f"extra == '{extra}'" in marker]


def _manager(environment: Path) -> Manager:
    if (environment / "pipx_metadata.json").exists():
        return "pipx"
    if (environment / "uv-receipt.toml").exists():
        return "uv tool"
    if is_uvx():
        return "uvx"
    return "uv pip" if find_spec("pip") is None and shutil.which("uv") else "pip"


def _source(origin: dict[str, dict[str, str]]) -> str:
    """Return the source that a `direct_url.json` records, as an installer takes it."""
    url = str(origin.get("url", ""))
    if vcs := origin.get("vcs_info"):
        revision = vcs.get("requested_revision")
        return f"{vcs.get('vcs')}+{url}" + (f"@{revision}" if revision else "")
    return unquote(urlsplit(url).path) if url.startswith("file:") else url


def _python() -> str:
    """Return the interpreter as a shell calls it: by name, or by its path from here."""
    found = shutil.which("python")
    if found is not None and os.path.dirname(found) == os.path.dirname(sys.executable):  # noqa: PTH120 - follows no link
        return "python"
    with suppress(FileNotFoundError):  # the working directory was removed
        return sys.executable.removeprefix(f"{Path.cwd()}{os.sep}")
    return sys.executable
