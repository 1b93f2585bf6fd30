"""Terminal multiplexers, in which programs outlive a connection, and their settings."""

import os
import subprocess
from typing import NamedTuple

VARIABLES = {"TMUX": "tmux", "STY": "screen", "ZELLIJ": "zellij"}
"""Multiplexers by the variable that they set."""

MAX_SECONDS = 2.0
"""Time to wait for an answer of tmux's server."""


class Multiplexer(NamedTuple):
    """A multiplexer around this program."""

    name: str = ""
    """`tmux`, `screen` or `zellij`; empty for none."""
    version: str = ""
    """Version, also the following only of tmux; empty if unknown."""
    outer: str = ""
    """Terminal that it runs in."""
    features: frozenset[str] = frozenset()
    """Features of that terminal, such as `RGB` and `clipboard`."""
    clipboard: str = ""
    """Value of `set-clipboard`: `on`, `external` or `off`."""
    passthrough: str = ""
    """Value of `allow-passthrough`: `on`, `all` or `off`."""


def find_multiplexer() -> Multiplexer:
    """Return the innermost multiplexer around this program."""
    names = [name for variable, name in VARIABLES.items() if os.environ.get(variable)]
    if not names:
        return Multiplexer()
    # A multiplexer within another one sets TERM to its own name.
    inner = next((name for name in names if os.environ.get("TERM", "").startswith(name)), names[0])
    if inner != "tmux":
        return Multiplexer(inner)
    version, kind, name, features = _ask("display-message", "-p", TMUX_FORMAT, lines=4)
    (clipboard,) = _ask("show-options", "-sv", "set-clipboard")
    (passthrough,) = _ask("show-options", "-gwv", "allow-passthrough")
    found = frozenset(filter(None, features.split(",")))
    return Multiplexer(inner, version, kind or name, found, clipboard, passthrough)


TMUX_FORMAT = "#{version}\n#{client_termtype}\n#{client_termname}\n#{client_termfeatures}"


def _ask(*arguments: str, lines: int = 1) -> list[str]:
    """Return that many lines that tmux answers; empty ones if it does not."""
    try:
        result = subprocess.run(  # noqa: S603 - constant arguments
            ["tmux", *arguments],  # noqa: S607 - the user's tmux, which serves this session
            capture_output=True,
            text=True,
            timeout=MAX_SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        return [""] * lines
    return [*result.stdout.splitlines(), *[""] * lines][:lines]
