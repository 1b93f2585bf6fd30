"""A trained run whose layers and feature maps are inspected."""

import pytest

from runs_for_tests import RunForTests


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunForTests:
    settings = ("model.filters=[8,20]", "data.image_size=20", "train.epochs=2")
    return RunForTests(tmp_path_factory.mktemp("runs"), *settings).train()
