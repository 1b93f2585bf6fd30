"""Checks of the terminal: what a dashboard can show on it."""

import os
import shutil
import sys
from collections.abc import Iterator

from rich.console import Console

from cnn_tui.doctor.check import Check, Facts, State
from cnn_tui.doctor.emulators import UNKNOWN, Emulator, find_emulator
from cnn_tui.doctor.multiplexers import Multiplexer, find_multiplexer
from cnn_tui.doctor.session import check_session
from cnn_tui.settings import load_settings
from cnn_tui.terminal.ascii import is_ascii_only
from cnn_tui.terminal.environment import is_ci, is_plain_terminal
from cnn_tui.terminal.features import find_features
from cnn_tui.terminal.query import CLIPBOARD, Answers, ask_terminal
from cnn_tui.terminal.tty import has_terminal

DESIGNED_SIZES = ((40, 12), (60, 20), (80, 24), (120, 36), (200, 60))
"""Columns and lines that the screens are designed for; sizes between them work too."""

COLORS = {"truecolor": 1 << 24, "256": 256, "standard": 16}
"""Number of colours by rich's name."""


def check_terminal() -> Iterator[Check]:
    """Yield the checks."""
    answers = ask_terminal() if has_terminal() else Answers()
    multiplexer = find_multiplexer()
    around = multiplexer.outer if multiplexer.name else answers.name
    emulator = find_emulator(around) if around or not multiplexer.name else UNKNOWN
    yield _terminal(emulator, answers.name)
    yield _size()
    yield _colors(multiplexer)
    yield _characters(emulator)
    yield _mouse()
    yield _clipboard(emulator, multiplexer, answers)
    yield _status()
    yield check_session(multiplexer)


def _terminal(emulator: Emulator, answer: str) -> Check:
    """Check that a dashboard can be shown."""
    term = os.environ.get("TERM", "")
    name = emulator.name or answer
    facts = {"term": term or None, "emulator": name or None, "dashboard": has_terminal()}
    value = f"{term}, {name}" if name else term
    streams = {"stdin": sys.stdin, "stdout": sys.stdout, "stderr": sys.stderr}
    if redirected := [name for name, stream in streams.items() if not stream.isatty()]:
        value = f"{', '.join(redirected)} redirected: lines instead of a dashboard"
        return Check("terminal", value, facts=facts)
    if not is_plain_terminal():
        return Check("terminal", value, facts=facts)
    if is_ci():
        return Check("terminal", "CI is set: lines instead of a dashboard", facts=facts)
    if "INSIDE_EMACS" in os.environ:
        value = "Emacs: lines instead of a dashboard"
        advice = "for the dashboard use vterm, eat or ansi-term in Emacs, or another terminal"
        return Check("terminal", value, "warning", advice, facts=facts)
    value = "TERM is dumb, unknown or not set: only lines"
    advice = "for the dashboard set TERM to the terminal's name, such as xterm-256color"
    return Check("terminal", value, "warning", advice, facts=facts)


def _size() -> Check:
    if not sys.stdout.isatty():
        value = "unknown, stdout is no terminal"
        return Check("size", value, facts={"columns": None, "lines": None})
    columns, lines = shutil.get_terminal_size()
    facts = {"columns": columns, "lines": lines}
    value = f"{columns} × {lines}"
    if os.environ.keys() & {"COLUMNS", "LINES"} and not is_plain_terminal():
        actual = os.get_terminal_size(sys.stdout.fileno())
        if actual != (columns, lines) and all(actual):
            value += f", but the terminal is {actual.columns} × {actual.lines}"
            return Check("size", value, "warning", "unset COLUMNS LINES", facts=facts)
    larger = [size for size in DESIGNED_SIZES if columns < size[0] or lines < size[1]]
    if len(larger) == len(DESIGNED_SIZES):
        advice = "enlarge the window: below 40 × 12 parts of the screens are cut"
        return Check("size", value, "warning", advice, facts=facts)
    if (80, 24) in larger:
        advice = "enlarge the window: from 80 × 24 on the dashboard shows everything"
        return Check("size", value, "warning", advice, facts=facts)
    more = f", more is shown at once from {larger[0][0]} × {larger[0][1]} on" if larger else ""
    return Check("size", value + more, facts=facts)


def _colors(multiplexer: Multiplexer) -> Check:
    if "NO_COLOR" in os.environ:
        return Check("colours", "none, because NO_COLOR is set", facts={"colors": 0})
    if not sys.stdout.isatty():
        return Check("colours", "unknown, stdout is no terminal", facts={"colors": None})
    system = Console(force_terminal=True).color_system or ""
    value = {"truecolor": "16 million", "256": "256", "standard": "16"}.get(system, "none")
    state, advice = _color_advice(system, multiplexer)
    return Check("colours", value, state, advice, facts={"colors": COLORS.get(system, 0)})


def _color_advice(system: str, multiplexer: Multiplexer) -> tuple[State, str]:
    """Return the state of the colours and what to do.

    Args:
        system: Rich's name of the number of colours.
        multiplexer: The multiplexer around this program.
    """
    match system:
        case "truecolor" if multiplexer.name == "screen":
            before = "screen before version 5 shows 16 million colours wrong"
            return "warning", f"unset COLORTERM: {before}"
        case "truecolor" if multiplexer.features and "RGB" not in multiplexer.features:
            setting = "set -as terminal-features ',*:RGB'"
            return "ok", f"let tmux show more than 256: {setting} in .tmux.conf"
        case "256" if multiplexer.name != "screen":
            return "ok", "if the terminal has 16 million, set COLORTERM=truecolor"
        case "standard":
            more = "if the terminal has more, set TERM to its name, such as xterm-256color"
            return "warning", f"use --theme terminal; {more}"
    return "ok", ""


def _characters(emulator: Emulator) -> Check:
    names = (os.environ.get(name) for name in ("LC_ALL", "LC_CTYPE", "LANG"))
    facts = {"locale": next(filter(None, names), None), "encoding": sys.stdout.encoding}
    if is_ascii_only():
        value = f"ASCII, because the locale {facts['locale']} has no UTF-8"
        advice = "for lines and pictures set a locale with UTF-8, such as LC_ALL=C.UTF-8"
        return Check("characters", value, "warning", advice, facts=facts)
    if sys.stdout.encoding.lower().replace("-", "") != "utf8":
        value = f"Python writes {sys.stdout.encoding}, the locale is {facts['locale']}"
        return Check("characters", value, "warning", "unset PYTHONIOENCODING", facts=facts)
    if emulator.name == "Linux console":
        value = "UTF-8, but the font of the Linux console has few of the characters"
        return Check("characters", value, "warning", "use --ascii", facts=facts)
    # Line, dot, half block, shades, braille: what the screens draw with.
    value = "UTF-8: ━ ● ▀ ░ ⣿ are a line, a dot, half a block, a shade, eight dots"
    advice = "if one of them is a box or too wide, use --ascii or a font such as DejaVu Sans Mono"
    return Check("characters", value, "ok", advice if sys.stdout.isatty() else "", facts=facts)


def _status() -> Check:
    """Check that a run is visible from other windows: title, progress bar, notifications."""
    features, is_on = find_features(), load_settings().values.display.terminal_status
    facts: Facts = {
        "enabled": is_on,
        "title": features.title,
        "progress": features.progress,
        "notification": bool(features.notification),
    }
    found = ["title"] if features.title else []
    found += ["progress bar"] if features.progress else []
    found += [f"notification (OSC {features.notification})"] if features.notification else []
    if found and not is_on:
        value = f"{', '.join(found)}: turned off by display.terminal_status"
        return Check("status", value, facts=facts)
    advice = "for word of the end: run --notify URL, or --on-end COMMAND"
    value = (
        f"shows a run as {', '.join(found)}" if found else "none that this terminal is known for"
    )
    return Check("status", value, "ok", "" if features.notification else advice, facts=facts)


def _mouse() -> Check:
    if not has_terminal():
        return Check("mouse", "not used, without a dashboard", facts={"reports": False})
    if os.environ.get("TERM") == "linux":
        return Check("mouse", "the Linux console has none", facts={"reports": False})
    value = "clicks and the wheel work; --no-mouse leaves the selection of text to the terminal"
    return Check("mouse", value, facts={"reports": True})


def _clipboard(emulator: Emulator, multiplexer: Multiplexer, answers: Answers) -> Check:
    takes, advice = emulator.clipboard, ""
    if CLIPBOARD in answers.attributes:
        takes = True
    if takes is False and emulator.clipboard_setting:
        advice = f"allow it: {emulator.clipboard_setting}"
    if multiplexer.name == "screen":
        takes, advice = False, "use tmux instead of screen, or select with the mouse (--no-mouse)"
    if multiplexer.clipboard in ("external", "off"):
        takes, advice = False, "let tmux pass it on: tmux set -s set-clipboard on"
    facts = {"osc52": takes}
    if takes is None:
        value = "unknown whether y reaches it (OSC 52): try it in the dashboard"
        return Check("clipboard", value, facts=facts)
    if takes:
        return Check("clipboard", "y in the dashboard copies to it (OSC 52)", facts=facts)
    value = "y in the dashboard does not reach it (OSC 52)"
    advice = advice or "select text with the mouse while shift is held, or with --no-mouse"
    return Check("clipboard", value, "warning", advice, facts=facts)
