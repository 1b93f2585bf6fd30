"""Checks of the terminal, the session and the network."""

import os
import pty
import sys
import threading
import tty

import pytest

from cnn_tui.doctor import multiplexers, session, terminal
from cnn_tui.doctor.emulators import find_emulator
from cnn_tui.doctor.multiplexers import Multiplexer
from cnn_tui.terminal import query
from cnn_tui.terminal.query import Answers, parse_answers

TMUX = Multiplexer("tmux", "3.4", "xterm-256color", frozenset({"256"}), "external", "off")


@pytest.fixture
def on_terminal(monkeypatch):
    """Return a function that makes the streams a terminal, which answers with its name."""

    def use(answer="", attributes=(), multiplexer=None, **environment):
        for stream in (sys.stdin, sys.stdout, sys.stderr):
            monkeypatch.setattr(stream, "isatty", lambda: True)
        monkeypatch.setattr(terminal, "has_terminal", lambda: True)
        answers = Answers(answer, frozenset(attributes))
        monkeypatch.setattr(terminal, "ask_terminal", lambda: answers)
        if multiplexer:
            monkeypatch.setattr(terminal, "find_multiplexer", lambda: multiplexer)
        for name, value in {"TERM": "xterm-256color", "LANG": "C.UTF-8", **environment}.items():
            monkeypatch.setenv(name, value)
        return {check.name: check for check in terminal.check_terminal()}

    return use


@pytest.mark.parametrize(
    ("columns", "lines", "state", "value"),
    [
        ("30", "10", "warning", "30 × 10"),
        ("60", "20", "warning", "60 × 20"),
        ("80", "24", "ok", "80 × 24, more is shown at once from 120 × 36 on"),
        ("200", "60", "ok", "200 × 60"),
    ],
)
def test_size_is_compared_with_the_designed_ones(  # noqa: PLR0917
    on_terminal, monkeypatch, columns, lines, state, value
):
    size = os.terminal_size((int(columns), int(lines)))
    monkeypatch.setattr(os, "get_terminal_size", lambda *_: size)
    found = on_terminal(COLUMNS=columns, LINES=lines)["size"]
    assert (found.state, found.value) == (state, value)
    assert bool(found.advice) == (state == "warning")


@pytest.mark.parametrize(
    ("environment", "multiplexer", "colors", "advice"),
    [
        ({"NO_COLOR": "1"}, None, 0, ""),
        ({"COLORTERM": "truecolor"}, None, 1 << 24, ""),
        ({}, None, 256, "set COLORTERM=truecolor"),
        ({"TERM": "xterm"}, None, 16, "use --theme terminal"),
        ({"COLORTERM": "truecolor"}, Multiplexer("screen"), 1 << 24, "unset COLORTERM"),
        ({"COLORTERM": "truecolor"}, TMUX, 1 << 24, "set -as terminal-features ',*:RGB'"),
        ({"COLORTERM": "24bit"}, TMUX._replace(features=frozenset({"RGB"})), 1 << 24, ""),
    ],
)
def test_colours_are_counted(on_terminal, environment, multiplexer, colors, advice):
    found = on_terminal(multiplexer=multiplexer, **environment)["colours"]
    assert found.facts == {"colors": colors}
    assert advice in found.advice


@pytest.mark.parametrize(
    ("answer", "environment", "name"),
    [
        ("kitty(0.35.2)", {}, "kitty"),
        ("XTerm(379)", {"WT_SESSION": "1"}, "xterm"),
        ("VTE(7600)", {}, "VTE (GNOME Terminal and others)"),
        ("New terminal 1.0", {"TERM_PROGRAM": "ghostty"}, ""),
        ("", {"TERM_PROGRAM": "iTerm.app"}, "iTerm2"),
        ("", {"LC_TERMINAL": "iTerm2", "TERM": "xterm-256color"}, "iTerm2"),
        ("", {"TERM": "foot-extra"}, "foot"),
        ("", {"TERM": "xterm-256color", "WT_SESSION": "1"}, "Windows Terminal"),
        ("", {"TERM": "xterm-256color"}, ""),
        ("", {"TERM": "linux"}, "Linux console"),
    ],
)
def test_emulator_is_found(answer, environment, name):
    assert find_emulator(answer, environment).name == name


@pytest.mark.parametrize(
    ("answer", "attributes", "multiplexer", "takes", "advice"),
    [
        ("kitty(0.35.2)", (), None, True, ""),
        ("XTerm(379)", (), None, False, "XTerm*allowWindowOps: true"),
        ("XTerm(379)", (52,), None, True, ""),
        ("unheard of", (), None, None, ""),
        ("tmux 3.4", (), TMUX, False, "tmux set -s set-clipboard on"),
        ("", (), Multiplexer("screen"), False, "use tmux"),
        ("Konsole 23", (), None, None, ""),
    ],
)
def test_clipboard_is_explained(on_terminal, answer, attributes, multiplexer, takes, advice):  # noqa: PLR0917
    found = on_terminal(answer, attributes, multiplexer)["clipboard"]
    assert found.facts == {"osc52": takes}
    assert advice in found.advice
    assert (found.state == "warning") == (takes is False)


@pytest.mark.parametrize(
    ("environment", "value", "advice"),
    [
        ({"TERM_PROGRAM": "WezTerm"}, "title, progress bar, notification (OSC 777)", ""),
        ({}, "shows a run as title", "--notify URL"),
        ({"TERM": "linux"}, "none that this terminal is known for", "--notify URL"),
        ({"TMUX": "socket,1,0"}, "shows a run as title", "--notify URL"),
    ],
)
def test_status_outside_of_the_dashboard_is_explained(on_terminal, environment, value, advice):
    found = on_terminal(**environment)["status"]
    assert found.value.endswith(value)
    assert advice in found.advice


def test_linux_console_has_few_characters_and_no_mouse(on_terminal):
    found = on_terminal(TERM="linux")
    assert (found["characters"].state, found["characters"].advice) == ("warning", "use --ascii")
    assert found["mouse"].facts == {"reports": False}


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"STY": "1.pts", "SSH_CONNECTION": "a 1 b 2"}, ("screen over SSH", "")),
        ({"SSH_CONNECTION": "a 1 b 2"}, ("SSH", "open it again with: cnn-tui watch")),
        ({}, ("local", "")),
    ],
)
def test_session_is_described(checks, monkeypatch, variables, expected):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    found = checks()[1]["session"]
    assert found["value"] == expected[0]
    assert expected[1] in (found["advice"] or "")


def test_mosh_is_recognized(checks, monkeypatch):
    monkeypatch.setattr(session, "_is_mosh", lambda: True)
    monkeypatch.setenv("SSH_CONNECTION", "a 1 b 2")
    assert checks()[1]["session"]["value"] == "mosh"


def test_logout_that_ends_background_runs_is_reported(checks, monkeypatch, tmp_path):
    (tmp_path / "logind.conf").write_text("[Login]\n#KillUserProcesses=no\nKillUserProcesses=yes\n")
    monkeypatch.setattr(session, "LOGIND", (tmp_path / "logind.conf",))
    monkeypatch.setattr(session, "LINGER", tmp_path)
    found = checks()[1]["session"]
    assert (found["state"], found["advice"]) == (
        "warning",
        "keep them: loginctl enable-linger",
    )
    monkeypatch.setattr(session.getpass, "getuser", lambda: "logind.conf")  # a file for this user
    assert checks()[1]["session"]["state"] == "ok"


@pytest.fixture
def tmux(monkeypatch, tmp_path):
    """Install a program `tmux` that answers as tmux 3.4 does."""
    program = tmp_path / "bin/tmux"
    program.parent.mkdir()
    program.write_text(
        '#!/bin/sh\ncase "$*" in\n'
        "display-message*) printf '3.4\\niTerm2 3.5\\nxterm-256color\\n256,RGB,title\\n' ;;\n"
        "*set-clipboard) echo on ;;\n*allow-passthrough) echo off ;;\nesac\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("TMUX", "socket,1,0")
    monkeypatch.setenv("TERM", "tmux-256color")
    return program


def test_tmux_is_asked_for_its_settings(tmux):
    features = frozenset({"256", "RGB", "title"})
    assert multiplexers.find_multiplexer() == (
        *("tmux", "3.4", "iTerm2 3.5", features),
        *("on", "off"),
    )


@pytest.mark.parametrize("program", ["exit 1", "sleep 9", None], ids=["fails", "hangs", "missing"])
def test_tmux_that_does_not_answer_is_still_named(tmux, monkeypatch, program):
    monkeypatch.setattr(multiplexers, "MAX_SECONDS", 0.2)
    tmux.write_text(f"#!/bin/sh\nexec {program}\n")
    if program is None:
        monkeypatch.setenv("PATH", "")
    assert multiplexers.find_multiplexer() == Multiplexer("tmux")


def test_inner_multiplexer_is_found(monkeypatch):
    monkeypatch.setenv("TMUX", "socket,1,0")
    monkeypatch.setenv("STY", "1.pts")
    monkeypatch.setenv("TERM", "screen-256color")
    assert multiplexers.find_multiplexer() == Multiplexer("screen")


def test_answers_of_a_terminal_are_parsed():
    received = b"x\x1bP>|kitty(0.35.2)\x1b\\\x1b[?62;52;c"
    assert parse_answers(received) == Answers("kitty(0.35.2)", frozenset({62, 52}))
    assert parse_answers(b"typed") == Answers()


@pytest.fixture
def two_ends(monkeypatch):
    """Yield both ends of a terminal, in whose foreground this process is."""
    ends = pty.openpty()
    monkeypatch.setattr(query.os, "tcgetpgrp", lambda _: os.getpgrp())
    yield ends
    for end in ends:
        os.close(end)


def test_terminal_is_asked_and_restored(two_ends):
    emulator, ours = two_ends
    before = tty.tcgetattr(ours)
    received = []

    def answer():
        received.append(os.read(emulator, 100))
        os.write(emulator, b"\x1bP>|foot(1.16)\x1b\\")
        os.write(emulator, b"\x1b[?62;4c")

    thread = threading.Thread(target=answer)
    thread.start()
    assert query.ask_terminal(30.0, ours, ours) == Answers("foot(1.16)", frozenset({62, 4}))
    thread.join()
    assert received == [query.QUERIES]
    assert tty.tcgetattr(ours) == before
    assert query.ask_terminal(0.05, ours, ours) == Answers()  # a terminal that answers nothing


def test_nothing_is_asked_in_the_background(two_ends, monkeypatch):
    monkeypatch.setattr(query.os, "tcgetpgrp", lambda _: os.getpgrp() + 1)
    monkeypatch.setattr(query.os, "write", lambda *_: pytest.fail("was asked"))
    assert query.ask_terminal(0.05, *two_ends) == Answers()


def test_network_is_checked_on_request(checks, no_network):
    code, found = checks("--network")
    assert (code, found["CIFAR-10"]["state"]) == (0, "warning")
    assert found["CIFAR-10"]["value"].endswith("cannot be reached: Network is unreachable")
    assert "CIFAR-10" not in checks()[1]
