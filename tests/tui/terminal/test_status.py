"""Title, progress bar and notifications of terminals that have them."""

import re
import signal
from dataclasses import replace

import pytest

from cnn_engine.runlog.lines import from_line
from cnn_engine.runlog.state import RunState
from cnn_engine.runs.directory import list_runs
from cnn_tui.terminal import status as statuses
from cnn_tui.terminal.features import NO_FEATURES, Features, find_features
from cnn_tui.terminal.status import TerminalStatus
from cnn_tui.text.run_status import RunStatus, end_text, run_status
from golden import golden_lines
from terminal import ENDLESS_RUN, SET_SMALL, Terminal
from terminal_runs import end_soon, training_process

TITLE = re.compile(rb"\x1b\]2;([^\x07]*)\x07")
BAR = re.compile(rb"\x1b\]9;4;(\d);(\d+)\x1b\\")
NOTIFICATION = re.compile(rb"\x1b\](9;[^4]|99;|777;)")
SAVE, RESTORE = b"\x1b[22;0t", b"\x1b[23;0t"
XTERM = {"TERM": "xterm-256color"}
TITLE_ONLY = Features(title=True)
GHOSTTY = Features(title=True, progress=True, notification="777", forgets_progress=True)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, NO_FEATURES),
        ({"TERM": "dumb", "TERM_PROGRAM": "ghostty"}, NO_FEATURES),
        ({"TERM": "linux"}, NO_FEATURES),
        ({"TERM": "vt100"}, NO_FEATURES),
        (XTERM, TITLE_ONLY),
        (XTERM | {"CI": "1"}, NO_FEATURES),
        (XTERM | {"TERM_PROGRAM": "Apple_Terminal"}, TITLE_ONLY),
        ({"TERM": "alacritty"}, TITLE_ONLY),
        ({"TERM": "xterm-ghostty"}, GHOSTTY),
        (XTERM | {"TERM_PROGRAM": "ghostty"}, GHOSTTY),
        (XTERM | {"TERM_PROGRAM": "WezTerm"}, Features(True, True, "777")),
        (XTERM | {"WT_SESSION": "0"}, Features(True, True)),
        (XTERM | {"ConEmuANSI": "ON"}, Features(True, True)),
        (XTERM | {"ConEmuANSI": "OFF"}, TITLE_ONLY),
        (XTERM | {"VTE_VERSION": "7602"}, TITLE_ONLY),
        (XTERM | {"VTE_VERSION": "8000"}, Features(True, True)),
        (XTERM | {"KONSOLE_VERSION": "241203"}, TITLE_ONLY),
        (XTERM | {"KONSOLE_VERSION": "250400"}, Features(True, True)),
        ({"TERM": "xterm-kitty"}, Features(True, False, "99")),
        ({"TERM": "foot"}, Features(True, False, "777")),
        (
            XTERM | {"TERM_PROGRAM": "iTerm.app", "TERM_PROGRAM_VERSION": "3.6.5"},
            Features(True, False, "9"),
        ),
        (
            XTERM | {"LC_TERMINAL": "iTerm2", "LC_TERMINAL_VERSION": "3.6.6"},
            Features(True, True, "9"),
        ),
        ({"TERM": "tmux-256color", "TMUX": "x", "TERM_PROGRAM": "ghostty"}, TITLE_ONLY),
        ({"TERM": "screen-256color", "TMUX": "x", "WT_SESSION": "0"}, TITLE_ONLY),
        ({"TERM": "screen.xterm-256color", "STY": "x"}, NO_FEATURES),
        (XTERM | {"ZELLIJ": "0", "TERM_PROGRAM": "WezTerm"}, TITLE_ONLY),
    ],
)
def test_only_known_terminals_get_sequences(environment, expected):
    assert find_features(environment) == expected


@pytest.fixture
def clock(monkeypatch):
    times = [100.0]
    monkeypatch.setattr(statuses.time, "monotonic", lambda: times[0])
    return times


def test_changes_are_written_once_a_second_and_undone_at_the_end(clock):
    written = []
    status = TerminalStatus(written.append, Features(title=True, progress=True))
    for second, percent in enumerate((1, 1, 2)):
        for step in range(10):
            clock[0] = 100 + second + step / 10
            status.show(RunStatus(f"{percent}% a", "normal", percent))
    assert written == [
        "\x1b[22;0t\x1b]2;1% a - cnn-tui\x07\x1b]9;4;1;1\x1b\\",
        "\x1b]2;2% a - cnn-tui\x07\x1b]9;4;1;2\x1b\\",
    ]
    status.hide()
    status.hide()
    assert written[2:] == ["\x1b]2;\x07\x1b[23;0t\x1b]9;4;0;0\x1b\\"]


def test_progress_is_repeated_for_a_terminal_that_forgets_it(clock):
    written = []
    status = TerminalStatus(written.append, Features(progress=True, forgets_progress=True))
    training, paused = RunStatus("", "normal", 1), RunStatus("", "paused", 1)
    for shown in (training, training, paused, paused):
        status.show(shown)
        clock[0] += 11
    assert written == ["\x1b]9;4;1;1\x1b\\"] * 2 + ["\x1b]9;4;4;1\x1b\\"]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("", ""),
        ("9", "\x1b]9;cnn-tui: a; b\x1b\\"),
        ("777", "\x1b]777;notify;cnn-tui;a, b\x1b\\"),
        ("99", "\x1b]99;i=cnn-tui:d=0;cnn-tui\x1b\\\x1b]99;i=cnn-tui:d=1:p=body;a; b\x1b\\"),
    ],
)
def test_notification_has_the_form_of_the_terminal(kind, expected):
    written = []
    TerminalStatus(written.append, Features(notification=kind)).notify("a; b")
    assert "".join(written) == expected


def test_status_of_a_run_and_names_without_sequences():
    state, titles = RunState(), []
    for line in golden_lines("completed"):
        event = from_line(line)
        if type(event).__name__ == "RunStarted":
            event = replace(event, name="a\x1b]2;b\x07\nc")
        state.apply(event)
        titles.append(run_status(state))
    assert all(status.title.isprintable() for status in titles)
    percents = [status.percent for status in titles if status.bar == "normal"]
    assert percents == sorted(percents)
    assert (percents[0], percents[-1]) == (0, 99)
    assert titles[0].bar == "unknown"
    assert titles[-1].bar == "none"
    assert titles[-1].title.startswith("done ")
    assert end_text(state).isprintable()
    assert run_status(state, is_dead=True).title.startswith("interrupted ")
    failed = RunState()
    for line in golden_lines("failed"):
        failed.apply(from_line(line))
    assert run_status(failed).bar == "error"
    assert run_status(failed, is_followed=False).bar == "none"


# Real terminals.


@pytest.fixture
def windows_terminal(monkeypatch):
    monkeypatch.setenv("WT_SESSION", "0")


def assert_reset(raw):
    """Assert that the title is restored as often as it was saved, and the bar removed."""
    assert raw.count(SAVE) == raw.count(RESTORE) > 0
    assert raw.rindex(RESTORE) > raw.rindex(b"\x1b]2;")
    assert BAR.findall(raw)[-1] == (b"0", b"0")


def test_dashboard_shows_the_run_in_title_and_bar(tmp_path, windows_terminal):
    options = ("--epochs", "30", "--name", "größe", *SET_SMALL)
    with Terminal("run", "digits", *options, cwd=tmp_path) as terminal:
        terminal.wait_for("Done after")
        terminal.read(2.5)
        assert TITLE.findall(terminal.raw)[-1].startswith(b"done ")
        terminal.press("q")
        assert terminal.wait() == 0
    titles = [title.decode() for title in TITLE.findall(terminal.raw)]
    assert any(re.fullmatch(r"\d+% größe - cnn-tui", title) for title in titles)
    assert {b"1", b"3"} <= {kind for kind, _ in BAR.findall(terminal.raw)}
    assert_reset(terminal.raw)


def test_killed_dashboard_is_reset_by_its_parent(tmp_path, windows_terminal):
    with Terminal(*ENDLESS_RUN, cwd=tmp_path) as terminal:
        terminal.wait_for("● training")
        terminal.read(1.5)
        (run,) = list_runs(tmp_path / "runs")
        training_process(run).send_signal(signal.SIGKILL)
        terminal.wait()
    assert_reset(terminal.raw)


def test_lines_show_the_run_too_until_it_ends(tmp_path, monkeypatch):
    monkeypatch.setenv("TERM_PROGRAM", "WezTerm")
    with Terminal(*ENDLESS_RUN, "--no-ui", cwd=tmp_path) as terminal:
        terminal.wait_for(lambda _: b"9;4;1;" in terminal.raw)
        terminal.kill(signal.SIGTSTP)
        terminal.wait_for(lambda _: terminal.raw.count(RESTORE) == 1)
        # No shell stops and continues it here, so it goes on.
        terminal.wait_for(lambda _: terminal.raw.count(SAVE) == 2)
        (run,) = list_runs(tmp_path / "runs")
        end_soon(run)
        assert terminal.wait() == 0
    assert any(b"% digits - cnn-tui" in title for title in TITLE.findall(terminal.raw))
    assert b"\x1b]777;notify;cnn-tui;digits: done, test accuracy " in terminal.raw
    assert_reset(terminal.raw)


def test_second_ctrl_c_restores_the_title(tmp_path, windows_terminal):
    with Terminal(*ENDLESS_RUN, "--no-ui", cwd=tmp_path) as terminal:
        terminal.wait_for(lambda _: b"9;4;3;" in terminal.raw)  # it loads PyTorch
        for _ in range(2):
            terminal.kill(signal.SIGINT)
            terminal.read(0.5)
        assert terminal.wait() == 130
    assert_reset(terminal.raw)


@pytest.mark.parametrize("variable", [("CNN_TUI_TERMINAL_STATUS", "0"), ("TMUX", "x")])
def test_setting_and_multiplexers_turn_sequences_off(
    tmp_path, windows_terminal, variable, monkeypatch
):
    monkeypatch.setenv(*variable)
    with Terminal(
        "run", "digits", "--no-ui", "--epochs", "1", *SET_SMALL, cwd=tmp_path
    ) as terminal:
        assert terminal.wait() == 0
    assert BAR.findall(terminal.raw) == []
    assert NOTIFICATION.findall(terminal.raw) == []
    assert bool(TITLE.findall(terminal.raw)) == (variable[0] == "TMUX")
