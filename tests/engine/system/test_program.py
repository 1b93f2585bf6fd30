"""Suggested commands, which call the program as the user called it."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from cnn_engine.system.program import shell_command


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Return a directory with a program `cnn-tui` in `my env/bin`; PATH is empty."""
    program = tmp_path / "my env/bin/cnn-tui"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "")
    return tmp_path


@pytest.mark.parametrize(
    ("called", "path", "shown"),
    [
        ("cnn-tui", "", "cnn-tui"),
        ("my env/bin/cnn-tui", "", "'my env/bin/cnn-tui'"),
        ("./my env/bin/cnn-tui", "", "'./my env/bin/cnn-tui'"),
        ("{}/my env/bin/cnn-tui", "", "'{}/my env/bin/cnn-tui'"),
        ("{}/my env/bin/cnn-tui", "{}/my env/bin", "cnn-tui"),
        ("my env/bin/cnn-tui", "{}/my env/bin", "cnn-tui"),
        ("/gone/bin/cnn-tui", "{}/my env/bin", "/gone/bin/cnn-tui"),
        ("/usr/bin/pytest", "", "cnn-tui"),
        ("-c", "", "cnn-tui"),
        ("", "", "cnn-tui"),
    ],
)
def test_suggested_commands_call_the_program_as_it_was_called(
    installed, monkeypatch, called, path, shown
):
    """`.venv/bin/cnn-tui` without activation must not suggest a `cnn-tui` that is not found."""
    monkeypatch.setattr(sys, "argv", [called.format(installed)])
    monkeypatch.setenv("PATH", path.format(installed))
    assert shell_command("show", "a b") == f"{shown.format(installed)} show 'a b'"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["runs"], "start a run of cnn-tui with: {} run"),
        (["runs", "--nope"], "Usage: {0} runs [OPTIONS] Try '{0} runs -h' for help."),
    ],
)
def test_module_is_suggested_with_its_interpreter(tmp_path, arguments, expected):
    """`python -m cnn_tui` works where the script is not installed, and names itself."""
    python = tmp_path / "py thon"
    python.symlink_to(sys.executable)
    paths = os.pathsep.join(str(Path(path).absolute()) for path in sys.path if path)
    result = subprocess.run(
        [python, "-m", "cnn_tui", *arguments],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": paths},
    )
    program = shlex.join([str(python), "-m", "cnn_tui"])
    assert expected.format(program) in " ".join(result.stderr.split())
