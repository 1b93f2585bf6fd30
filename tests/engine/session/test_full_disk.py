"""A full disk during training: a real file system of two megabytes."""

import pytest

from cnn_engine.runlog.log import LogReader
from cnn_engine.runs.directory import list_runs
from cnn_engine.runs.summary import read_state
from runs_for_tests import wait_until
from small_disk import fill_disk, mounted_disk
from terminal import ENDLESS_RUN, Terminal


@pytest.fixture
def small_disk(tmp_path):
    with mounted_disk(tmp_path) as disk:
        yield disk


@pytest.mark.parametrize("options", [(), ("--no-ui",)], ids=["dashboard", "lines"])
def test_training_continues_on_a_full_disk_and_writes_the_log_later(small_disk, options):
    with Terminal(*ENDLESS_RUN, *options, cwd=small_disk) as terminal:
        terminal.wait_for("Epoch")
        (run,) = list_runs(small_disk / "runs")
        wait_until(lambda: len(read_state(run)[0].epochs) > 2)
        filler = fill_disk(small_disk)
        terminal.wait_for("log cannot be written: No space left on device")
        reached = len(read_state(run)[0].epochs)
        filler.unlink()
        wait_until(lambda: len(read_state(run)[0].epochs) > reached + 2)
        terminal.kill(15)
        assert terminal.wait() == 143
    reader = LogReader(run.events)
    list(reader.poll())
    state, _ = read_state(run)
    assert reader.damaged_lines == 0
    assert [epoch.epoch for epoch in state.epochs] == list(range(1, len(state.epochs) + 1))
    assert any("no events were lost" in notice.text for notice in state.notices)
