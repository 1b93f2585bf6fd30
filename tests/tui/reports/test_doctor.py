"""`cnn-tui doctor`: checks of the machine and the terminal, with advice."""

import json
from importlib.metadata import PackageNotFoundError, version

import pytest

from cnn_tui.reports import doctor
from fresh_interpreter import TORCH_SIDE, cli_code, loaded_modules
from golden import golden_run
from terminal import CLI, Terminal

NAMES = (
    *("cnn-tui", "PyTorch", "processor", "threads", "GPU", "memory", "runs", "image cache"),
    *("terminal", "size", "colours", "characters", "session"),
)


@pytest.fixture
def checks(run_cli, tmp_path):
    """Return a function that runs `doctor --json`: exit code, and the checks by name."""

    def run(*arguments):
        code, out, _ = run_cli("doctor", "--json", *arguments, cwd=tmp_path)
        return code, {check["name"]: check for check in json.loads(out)}

    return run


def test_every_ability_is_checked(checks, tmp_path, run_cli):
    golden_run(tmp_path / "runs", "completed")
    code, found = checks()
    assert (code, tuple(found)) == (0, NAMES)
    assert f"{tmp_path / 'runs'}, 1 run, " in found["runs"]["value"]
    code, out, _ = run_cli("doctor", cwd=tmp_path)
    assert code == 0
    for check in found.values():
        assert check["name"] in out


def test_pytorch_is_not_loaded_without_a_gpu(tmp_path):
    code = "import cnn_engine.system.gpu_presence as g; g.DRIVER_FILES = ()\n"
    assert not loaded_modules(code + cli_code("doctor"), tmp_path) & (TORCH_SIDE - {"numpy"})


def test_driver_that_pytorch_cannot_use_is_reported(checks, monkeypatch):
    """A build of PyTorch for CPUs on a machine with a GPU trains slowly in silence."""
    monkeypatch.setattr(doctor, "may_exist", lambda device: device == "cuda")
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    code, found = checks()
    assert (code, found["GPU"]["status"]) == (0, "warning")
    assert "install a build of PyTorch" in found["GPU"]["advice"]


def test_missing_pytorch_is_an_error(checks, monkeypatch):
    def find(name):
        if name == "torch":
            raise PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(doctor, "version", find)
    code, found = checks()
    assert (code, found["PyTorch"]["status"]) == (2, "error")


@pytest.mark.parametrize("place", ["/dev/null", "/dev/null/runs"])
def test_directory_that_cannot_be_written_is_an_error(checks, place):
    code, found = checks("--runs-dir", place)
    assert (code, found["runs"]["status"]) == (5, "error")
    assert found["runs"]["advice"] == "use --runs-dir DIR"


@pytest.mark.parametrize(
    ("variables", "name", "value"),
    [
        (
            {"TMUX": "socket,1,0", "SSH_CONNECTION": "a 1 b 2"},
            "session",
            "tmux over SSH",
        ),
        ({"STY": "1.pts"}, "session", "screen"),
        ({"SSH_CONNECTION": "a 1 b 2"}, "session", "SSH"),
        ({}, "session", "local"),
        ({"NO_COLOR": "1"}, "colours", "none, because NO_COLOR is set"),
        ({"LC_ALL": "C"}, "characters", "ASCII, because the locale has no UTF-8"),
        ({"OMP_NUM_THREADS": "3"}, "threads", "because OMP_NUM_THREADS is 3"),
    ],
)
def test_environment_is_explained(checks, monkeypatch, variables, name, value):
    for variable in ("TMUX", "STY", "ZELLIJ", "SSH_CONNECTION", "LC_ALL"):
        monkeypatch.delenv(variable, raising=False)
    for variable, text in variables.items():
        monkeypatch.setenv(variable, text)
    assert value in checks()[1][name]["value"]


@pytest.mark.parametrize(
    ("changes", "size", "expected"),
    [
        ([], (120, 36), ["xterm-256color", "120 × 36", "256"]),
        ([], (60, 20), ["60 × 20", "80 × 24"]),
        (["COLUMNS=90"], (120, 36), ["90 × 36, but the terminal is 120 × 36", "unset COLUMNS"]),
        (["COLORTERM=truecolor"], (120, 36), ["16 million"]),
        (["TERM=dumb"], (120, 36), ["TERM is dumb, unknown or not set"]),
        (["INSIDE_EMACS=29.1,comint"], (120, 36), ["Emacs: lines instead of a dashboard"]),
        (["CI=true"], (120, 36), ["CI is set"]),
    ],
    ids=str,
)
def test_terminal_is_explained(tmp_path, monkeypatch, changes, size, expected):
    for variable in ("NO_COLOR", "COLORTERM", "FORCE_COLOR", "LC_ALL"):
        monkeypatch.delenv(variable, raising=False)
    command = ["env", "LANG=C.UTF-8", *changes, *CLI, "doctor"]
    with Terminal(cwd=tmp_path, size=size, command=command) as terminal:
        assert terminal.wait() == 0
        for text in expected:
            assert text in terminal.text
