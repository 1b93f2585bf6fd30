"""Fixtures of tests of the image cache."""

import pytest

from cached_folders import save
from cnn_engine.data.sources import folder


@pytest.fixture
def pets(tmp_path):
    for name, shade in (("cat", 10), ("dog", 200)):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for number in range(10):
            save(tmp_path / "pets" / name / f"{number}.png", shade + number)
    return tmp_path / "pets"


@pytest.fixture
def decoded(monkeypatch):
    """Return a list of the paths decoded so far."""
    paths, real = [], folder.decode

    def decode(path, *arguments):
        paths.append(path)
        return real(path, *arguments)

    monkeypatch.setattr(folder, "decode", decode)
    return paths
