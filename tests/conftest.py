"""Fixtures shared by all tests."""

import os
import socket
import sys
import time

import pytest
import torch
from hypothesis import HealthCheck, settings

from cnn_tui.cli.app import main

# Small tensors on many threads are slower than on one, and tests run side by side.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# How long an example takes tells how busy the machine is, and nothing of the code.
settings.register_profile(
    "any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any-machine")
# Screens show the time of day.
os.environ["TZ"] = "UTC"
time.tzset()


def pytest_collection_modifyitems(items):
    """Skip the tests that need a GPU where there is none; without them, ask no driver."""
    needing = [item for item in items if item.get_closest_marker("gpu")]
    if needing and not torch.cuda.is_available():
        for item in needing:
            item.add_marker(pytest.mark.skip(reason="PyTorch finds no NVIDIA GPU here"))


@pytest.fixture(scope="session", autouse=True)
def shared_cache_home(tmp_path_factory):
    """A cache for what several tests share, which is made before any test has its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def cache_home(monkeypatch, tmp_path_factory):
    """A cache of the test's own, for the programs that it starts too; never the user's."""
    home = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(home))
    return home


@pytest.fixture
def no_network(monkeypatch):
    """Every connection is refused, as on a machine without a network."""

    def refuse(*_args, **_kwargs):
        raise OSError("Network is unreachable")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture
def run_cli(capsys, monkeypatch):
    """The command line in this process, which has PyTorch already: exit code, stdout, stderr."""

    def run(*arguments, cwd):
        monkeypatch.chdir(cwd)
        monkeypatch.setattr(sys, "argv", ["cnn-tui", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        return end.value.code, *capsys.readouterr()

    return run
