"""Fixtures shared by all tests."""

import faulthandler
import gc
import os
import signal
import socket
import sys
import time
from typing import NamedTuple
from unittest import mock

import pytest
import torch
from hypothesis import HealthCheck, settings

from cnn_engine.system.stop_signals import STOP_SIGNALS
from cnn_tui.cli.app import main
from cnn_tui.settings import load_settings

# Collecting cycles while modules are imported and tests are listed takes seconds and frees nothing.
gc.disable()
# Small tensors are slower on many threads than on one, and tests run in parallel.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# The duration of an example depends on the load of the machine, not on the code.
settings.register_profile(
    "any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any-machine")
# These variables turn dashboards and progress lines off, or give the width of the terminal in which
# the tests run.
for name in ("CI", "INSIDE_EMACS", "COLUMNS", "LINES"):
    os.environ.pop(name, None)
# The settings of whoever runs the tests are not those that the tests expect.
for name in [name for name in os.environ if name.startswith("CNN_TUI_")]:
    del os.environ[name]
os.environ["CNN_TUI_CONFIG"] = os.devnull
# Screens show the time of day.
os.environ["TZ"] = "UTC"
time.tzset()


def pytest_collection_modifyitems(items):
    """Skip tests marked `gpu` if there is no GPU. CUDA is queried only if there are such tests."""
    gpu_tests = [item for item in items if item.get_closest_marker("gpu")]
    if gpu_tests and not torch.cuda.is_available():
        for item in gpu_tests:
            item.add_marker(pytest.mark.skip(reason="PyTorch finds no NVIDIA GPU here"))


def pytest_collection_finish():
    """Collect cycles from now on, but not among the objects of the imported modules."""
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session", autouse=True)
def shared_cache_home(tmp_path_factory):
    """Set a cache directory for session-wide fixtures, which run before `cache_home`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def cache_home(monkeypatch, tmp_path_factory):
    """Set and return a cache directory for one test and the programs that it starts."""
    home = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(home))
    return home


@pytest.fixture(autouse=True)
def state_home(monkeypatch, tmp_path_factory):
    """Set and return a state directory, with a queue of its own, for one test and its programs."""
    home = tmp_path_factory.mktemp("state")
    monkeypatch.setenv("XDG_STATE_HOME", str(home))
    return home


@pytest.fixture
def no_network(monkeypatch):
    """Refuse every connection, as on a machine without a network."""

    def refuse(*_args, **_kwargs):
        raise OSError("Network is unreachable")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture
def write_module(tmp_path, monkeypatch):
    """Return a function that writes a module into `tmp_path`, the working directory.

    It takes the module's name and code; the module is forgotten after the test.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    names = []

    def write(name, code):
        (tmp_path / f"{name}.py").write_text(code)
        sys.modules.pop(name, None)
        names.append(name)

    yield write
    for name in names:
        sys.modules.pop(name, None)


class Result(NamedTuple):
    """Exit code and output of a command."""

    code: int
    out: str
    errors: str


@pytest.fixture
def run_cli(capfd, monkeypatch):
    """Return a function that runs a command in this process and returns a `Result`.

    Faster than a process of its own, as PyTorch is loaded already. Training works too, but
    signals, closed streams and the environment at the start need a process.
    """
    # It would write to a stream of this test later.
    monkeypatch.setattr(faulthandler, "enable", lambda: None)

    def run(*arguments, cwd):
        monkeypatch.chdir(cwd)
        monkeypatch.setattr(sys, "argv", ["cnn-tui", *map(str, arguments)])
        streams = sys.stdout, sys.stderr
        handlers = {number: signal.getsignal(number) for number in (*STOP_SIGNALS, signal.SIGHUP)}
        try:
            load_settings.cache_clear()  # as in a new process
            # A command may set variables, such as COLUMNS.
            with mock.patch.dict(os.environ), pytest.raises(SystemExit) as end:
                main()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            sys.stdout, sys.stderr = streams
            for number, handler in handlers.items():
                signal.signal(number, handler)
            load_settings.cache_clear()
        return Result(end.value.code, *capfd.readouterr())

    return run
