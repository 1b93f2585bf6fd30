"""Terminal emulators and what they take from programs."""

import os
import re
from collections.abc import Mapping
from typing import NamedTuple


class Emulator(NamedTuple):
    """A terminal emulator."""

    name: str
    """Name to show; empty if it is unknown."""
    identity: str = ""
    """Pattern of its answer to XTVERSION, of TERM_PROGRAM, LC_TERMINAL and TERM, in lower case."""
    variable: str = ""
    """Environment variable that it sets."""
    clipboard: bool | None = None
    """True if it takes text for the clipboard (OSC 52); None if that is unknown."""
    clipboard_setting: str = ""
    """Setting that allows it, if it is off by default."""


EMULATORS = (
    Emulator("kitty", r"kitty", "KITTY_WINDOW_ID", clipboard=True),
    Emulator("WezTerm", r"wezterm", "WEZTERM_PANE", clipboard=True),
    Emulator("Ghostty", r"ghostty", "GHOSTTY_RESOURCES_DIR", clipboard=True),
    Emulator("foot", r"^foot", clipboard=True),
    Emulator("Alacritty", r"alacritty", "ALACRITTY_WINDOW_ID", clipboard=True),
    Emulator("Windows Terminal", r"windows terminal", "WT_SESSION", clipboard=True),
    Emulator(
        "iTerm2",
        r"iterm",
        clipboard=False,
        clipboard_setting='"Applications in terminal may access clipboard" in its settings',
    ),
    Emulator("VS Code", r"vscode|xterm\.js", clipboard=True),
    Emulator("Apple Terminal", r"apple_terminal", clipboard=False),
    Emulator("Konsole", r"konsole", "KONSOLE_VERSION"),
    Emulator("VTE (GNOME Terminal and others)", r"^vte", "VTE_VERSION", clipboard=False),
    Emulator("mintty", r"mintty", clipboard=False, clipboard_setting="AllowSetSelection=yes"),
    Emulator("xterm", r"^xterm\(", clipboard=False, clipboard_setting="XTerm*allowWindowOps: true"),
    Emulator("Linux console", r"^linux$", clipboard=False),
)
"""Known emulators. What is not certain of all their recent versions is None."""

UNKNOWN = Emulator("")


def find_emulator(answer: str, environment: Mapping[str, str] = os.environ) -> Emulator:
    """Return the terminal emulator; `UNKNOWN` if it cannot be told.

    Args:
        answer: The terminal's answer to XTVERSION; empty for none. Variables count only without
            one, as they may be those of another terminal.
        environment: Environment variables.
    """
    names = [environment.get(name, "") for name in ("TERM_PROGRAM", "LC_TERMINAL", "TERM")]
    for identity in filter(None, [answer] if answer else names):
        for emulator in EMULATORS:
            if re.search(emulator.identity, identity.lower()):
                return emulator
    if answer:
        return UNKNOWN
    variables = (emulator for emulator in EMULATORS if environment.get(emulator.variable))
    return next(variables, UNKNOWN)
