"""A copy of a prepared process is like a new process."""

import os
import signal
import sys
from unittest import mock

import pytest

from prepared import BEFORE_TESTS, can_copy
from terminal import Terminal

SEEN = """
import atexit, os, signal, sys
atexit.register(print, "the end")
print(sys.argv, os.getcwd(), sys.path, __name__)
print(*sorted(os.environ.items()), sep="\\n")
print(os.getsid(0) == os.getpid() == os.tcgetpgrp(0))
print(*map(signal.getsignal, signal.valid_signals()), signal.pthread_sigmask(0, []))
for stream in (sys.stdin, sys.stdout, sys.stderr, sys.__stdout__):
    print(stream.name, stream.encoding, stream.errors, stream.line_buffering, stream.isatty())
print("cnn_tui" in sys.modules)
os.kill(os.getpid(), 15) if "killed" in sys.argv else sys.exit(3)
"""


@pytest.fixture(autouse=True)
def _as_before_tests(monkeypatch):
    """Undo what earlier tests of this process have left in its environment and import path."""
    monkeypatch.setattr(sys, "path", BEFORE_TESTS["PYTHONPATH"].split(os.pathsep))
    with mock.patch.dict(os.environ, BEFORE_TESTS, clear=True):
        yield


def output(directory, *command):
    with Terminal(cwd=directory, command=[*command], blocked=(signal.SIGUSR2,)) as terminal:
        code = terminal.wait()
    return code, terminal.raw.decode().splitlines()


def test_copy_is_like_a_new_process(tmp_path):
    (tmp_path / "program.py").write_text(SEEN)
    for program in (["-c", SEEN], ["program.py"]):
        for argument, code in (("ü", 3), ("killed", -signal.SIGTERM)):
            command = [sys.executable, *program, argument]
            assert can_copy(command)
            copied, new = output(tmp_path, *command), output(tmp_path, "env", *command)
            assert copied == new
            assert copied[0] == code


def test_other_variables_of_libraries_need_a_new_process(monkeypatch):
    command = [sys.executable, "-c", ""]
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("KMP_DUPLICATE_LIB_OK", "True")  # as if another test had imported Keras
    assert can_copy(command)
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert not can_copy(command)
