"""Abilities of the terminal beside its screen, by the environment variables that name it.

A terminal is asked for nothing that it is not known to take: some show an unknown sequence as text,
and to some `OSC 9;4` is a notification instead of a progress bar.
"""

import os
import re
from collections.abc import Mapping
from typing import Literal, NamedTuple, TypeAlias

from cnn_tui.terminal.environment import is_plain_terminal

Notification: TypeAlias = Literal["", "9", "99", "777"]
"""Number of the OSC that shows a desktop notification; empty if there is none."""

TITLED = re.compile(
    r"xterm|tmux|alacritty|contour|foot|ghostty|gnome|konsole|mlterm|putty|rxvt|st(-|$)|vte|wezterm"
)
"""Start of the names of terminals whose title can be set: all but consoles without a window."""

ITERM_PROGRESS = (3, 6, 6)
"""First version of iTerm2 with a progress bar; to earlier ones it is a notification."""

PTYXIS_PROGRESS, VTE_PROGRESS, KONSOLE_PROGRESS = 48, 8000, 250400
"""First versions with a progress bar, as their variables have them."""


RESTORE_TITLE = "\x1b]2;\x07\x1b[23;0t"
"""Pops the title from the terminal's stack. A terminal without one shows its default title, as the
title was set to an empty one before."""

REMOVE_PROGRESS = "\x1b]9;4;0;0\x1b\\"


class Features(NamedTuple):
    """Abilities of a terminal."""

    title: bool = False
    progress: bool = False
    """True if `OSC 9;4` shows a progress bar, in the taskbar or the tab."""
    notification: Notification = ""
    forgets_progress: bool = False
    """True if the progress bar disappears unless it is sent again within 15 seconds."""


NO_FEATURES = Features()


def find_features(environment: Mapping[str, str] = os.environ) -> Features:
    """Return the abilities of the terminal."""
    term = environment.get("TERM", "")
    if is_plain_terminal(environment):
        return NO_FEATURES
    is_tmux = "TMUX" in environment
    title = bool(TITLED.match(term)) or is_tmux
    if is_tmux or term.startswith(("tmux", "screen")) or {"STY", "ZELLIJ"} & environment.keys():
        # A multiplexer drops the other sequences, or the program is not in its visible pane.
        return Features(title=title and "STY" not in environment)
    is_ghostty = _program(environment) == "ghostty" or "ghostty" in term
    return Features(
        title=title,
        progress=is_ghostty or _has_progress(environment),
        notification="777" if is_ghostty else _notification(term, environment),
        forgets_progress=is_ghostty,
    )


def own_features() -> Features:
    """Return the abilities that the setting `display.terminal_status` lets the program use."""
    from cnn_tui.settings import load_settings  # noqa: PLC0415 - the supervisor stays small

    return find_features() if load_settings().values.display.terminal_status else NO_FEATURES


def reset_sequence(features: Features) -> str:
    """Return what restores the title and removes the progress bar."""
    title = RESTORE_TITLE if features.title else ""
    return title + (REMOVE_PROGRESS if features.progress else "")


def _program(environment: Mapping[str, str]) -> str:
    """Return the name of the terminal, which SSH does not pass on, except for that of iTerm2."""
    return environment.get("TERM_PROGRAM") or environment.get("LC_TERMINAL", "")


def _has_progress(environment: Mapping[str, str]) -> bool:
    program = _program(environment)
    if program.startswith("iTerm"):
        version = environment.get("LC_TERMINAL_VERSION") or environment.get("TERM_PROGRAM_VERSION")
        return _numbers(version or "") >= ITERM_PROGRESS
    return (
        program == "WezTerm"
        or "WT_SESSION" in environment
        or environment.get("ConEmuANSI") == "ON"
        or _number(environment, "PTYXIS_VERSION") >= PTYXIS_PROGRESS
        or _number(environment, "VTE_VERSION") >= VTE_PROGRESS
        or _number(environment, "KONSOLE_VERSION") >= KONSOLE_PROGRESS
    )


def _notification(term: str, environment: Mapping[str, str]) -> Notification:
    program = _program(environment)
    if term == "xterm-kitty":
        return "99"
    if program == "WezTerm" or term == "wezterm" or term.startswith("foot"):
        return "777"
    return "9" if program.startswith("iTerm") else ""


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d{1,9}", version)))


def _number(environment: Mapping[str, str], name: str) -> int:
    return next(iter(_numbers(environment.get(name, ""))), 0)
