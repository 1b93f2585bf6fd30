"""What tests share."""

import os
import socket
import time

import pytest

# Small tensors on many threads are slower than on one, and tests run side by side.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Screens show the time of day.
os.environ["TZ"] = "UTC"
time.tzset()


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
