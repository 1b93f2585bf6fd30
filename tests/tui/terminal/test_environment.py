"""Environment variables that describe the terminal: its size, abilities and colours."""

import os
import shutil

import pytest

from cnn_tui.terminal.environment import is_plain_terminal, normalize_environment
from golden import golden_run
from photos_for_tests import make_photos
from terminal import CLI, SET_SMALL, Terminal

PLAIN = {
    "dumb": ["TERM=dumb"],
    "unknown": ["TERM=unknown"],
    "unset": ["-u", "TERM"],
    "empty": ["TERM="],
    "Emacs": ["INSIDE_EMACS=29.1,comint", "TERM=xterm-256color"],
    "CI": ["CI=true", "TERM=xterm-256color"],
}
"""Arguments of `env` for terminals that show only lines."""

COMMANDS = (
    *("watch", "compare amber oak", "explain", "runs", "show", "--help"),
    *("data check photos", "nonsense", "data check nowhere"),
)


@pytest.fixture(scope="module")
def work_dir(tmp_path_factory):
    """Return a working directory with two runs, images and a log."""
    directory = tmp_path_factory.mktemp("work")
    make_photos(directory / "photos", per_class=11)
    shutil.rmtree(directory / "photos/dog")  # one class: an error, so that no speed is measured
    for run_id in ("1124-0412-amber", "1124-0412-oak"):
        golden_run(directory / "runs", "completed", run_id)
    (directory / "log.csv").write_text("epoch,loss\n1,1\n2,0.5\n")
    return directory


def output_in(work_dir, changes, *arguments, size=(80, 24), code=None):
    """Run a command on a terminal with `env CHANGES`, and return its output."""
    command = ["env", *changes, *CLI, *arguments]
    with Terminal(cwd=work_dir, size=size, command=command) as terminal:
        exit_code = terminal.wait()
    assert code is None or exit_code == code, terminal.text
    return terminal.raw.decode()


@pytest.mark.parametrize("command", COMMANDS)
def test_dumb_terminal_gets_no_escape_sequences(work_dir, command):
    """M-x shell in Emacs, whose TERM is dumb (python-prompt-toolkit#390)."""
    output = output_in(work_dir, PLAIN["dumb"], *command.split())
    assert output
    assert "\x1b" not in output


@pytest.mark.parametrize("kind", PLAIN)
def test_terminals_that_show_only_lines_get_no_escape_sequences(work_dir, kind):
    """Emacs and CI services with a pty (PlakarKorp/plakar#2119)."""
    output = output_in(work_dir, PLAIN[kind], code=0)
    assert output
    assert "\x1b" not in output


def test_run_prints_lines_on_a_dumb_terminal(tmp_path):
    """The dashboard needs more than TERM=dumb offers (shobrook/statcode#13)."""
    output = output_in(
        tmp_path, PLAIN["dumb"], "run", "digits", "--epochs", "1", *SET_SMALL, code=0
    )
    assert "\x1b" not in output
    assert "Test Accuracy (Overall)" in output


def test_followed_import_prints_lines_on_a_dumb_terminal(work_dir):
    command = ["env", *PLAIN["dumb"], *CLI, "import", "log.csv", "--follow", "--runs-dir", "other"]
    with Terminal(cwd=work_dir, command=command) as terminal:
        terminal.wait_for("Open it:")
        terminal.press("\x03")
        terminal.wait()
    assert b"\x1b" not in terminal.raw


def test_progress_is_not_rewritten_in_the_log_of_a_ci_service(work_dir):
    output = output_in(work_dir, PLAIN["CI"], "data", "check", "photos", code=3)
    assert "\r" not in output.replace("\r\n", "")


@pytest.mark.parametrize(
    ("changes", "is_plain"),
    [
        ({"TERM": "xterm-256color"}, False),
        ({"TERM": "linux", "CI": "false"}, False),
        ({"TERM": "xterm", "CI": ""}, False),
        ({"TERM": "xterm", "INSIDE_EMACS": "vterm"}, False),
        ({"TERM": "eterm-color", "INSIDE_EMACS": "29.1,term:0.96.1"}, False),
        ({"TERM": "eat-truecolor", "INSIDE_EMACS": "29.1,eat"}, False),
        ({"TERM": "xterm", "INSIDE_EMACS": "29.1,compile"}, True),
        ({"TERM": "xterm", "CI": "1"}, True),
        ({}, True),
    ],
)
def test_emulators_in_emacs_are_full_terminals(changes, is_plain):
    assert is_plain_terminal(changes) == is_plain


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        *(("80", "80"), ("1", "1"), ("1000", "1000"), ("1001", "1000"), ("9" * 5000, "1000")),
        *((text, None) for text in ("", "0", "-5", "abc", "1e3", "80.5", "²", " ", "000")),
    ],
)
def test_absurd_sizes_are_removed_or_limited(monkeypatch, value, kept):
    monkeypatch.setenv("COLUMNS", value)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("CI", raising=False)
    normalize_environment()
    assert os.environ.get("COLUMNS") == kept


@pytest.fixture
def run_with(work_dir, run_cli, monkeypatch):
    """Function that runs a command with other environment variables."""

    def run(command, **changes):
        for name in ("CI", "INSIDE_EMACS", "COLUMNS", "LINES"):
            monkeypatch.delenv(name, raising=False)
        for name, value in {"TERM": "xterm-256color", **changes}.items():
            monkeypatch.setenv(name, value)
        normalize_environment()  # as at the start of a process
        return run_cli(*command.split(), cwd=work_dir)

    return run


@pytest.mark.parametrize("columns", ["1", "-1", "99999999999"])
@pytest.mark.parametrize("command", ["runs", "show", "compare amber oak", "explain", "--help"])
def test_any_value_of_columns_and_lines_is_harmless(run_with, command, columns):
    result = run_with(command, COLUMNS=columns, LINES=columns)
    assert (result.code, result.errors) == (0, "")
    assert result.out


@pytest.mark.parametrize("command", ["runs", "show", "explain", "--help"])
def test_columns_overrides_the_width_of_pipes_and_terminals(work_dir, run_with, command):
    """`COLUMNS=60 ls -C | cat` is 60 columns wide too."""
    piped = run_with(command, COLUMNS="60").out
    changes = ["COLUMNS=60", "TERM=dumb"]
    shown = output_in(work_dir, changes, *command.split(), size=(120, 24))
    for output in (piped, shown):
        assert max(map(len, output.splitlines())) <= 60


def test_dumb_terminal_has_its_own_width(work_dir):
    output = output_in(work_dir, PLAIN["dumb"], "show", size=(50, 24))
    assert 40 < max(map(len, output.splitlines())) <= 50


@pytest.mark.parametrize(
    ("changes", "has_colors"),
    [
        ({}, False),
        ({"FORCE_COLOR": "1"}, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        ({"FORCE_COLOR": ""}, False),
        ({"CLICOLOR_FORCE": "1"}, False),
    ],
)
def test_colors_are_chosen_as_rich_does(run_with, changes, has_colors):
    output = run_with("show", **{"NO_COLOR": "", **changes}).out
    assert ("\x1b[3" in output or "\x1b[1;3" in output) == has_colors
