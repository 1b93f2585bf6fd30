"""Follower and screens of a run whose files disappear and return, as on a network drive."""

import asyncio
import errno
import io
import os
import threading
from pathlib import Path

import pytest
import textual.app
import textual.pilot

from cnn_engine.runlog import events, log
from cnn_engine.runlog.log import LogReader
from cnn_engine.runs.summary import read_state
from cnn_tui.dashboard.app import Dashboard
from cnn_tui.dashboard.screens.compare import CompareScreen
from cnn_tui.dashboard.screens.run import RunScreen
from cnn_tui.dashboard.screens.runs import RunsScreen
from cnn_tui.live.follower import Follower
from golden import add_events, golden_lines, golden_run, running_run
from pilot import screen_text, settle, wait_for_text
from runs_for_tests import poll


def test_replaced_log_resets_state(tmp_path):
    run = golden_run(tmp_path, "completed")
    follower = Follower(run, trains_here=False)
    poll(follower)
    assert follower.state.has_ended
    run.events.write_text("\n".join(golden_lines("completed")[:60]) + "\n")
    poll(follower)
    assert follower.state == read_state(run)[0]
    assert not follower.state.has_ended


def test_log_replaced_by_longer_copy_is_continued(tmp_path):
    run = running_run(tmp_path, 60)
    follower = Follower(run, trains_here=False)
    poll(follower)
    copy = run.path / "copy"
    copy.write_text("\n".join(golden_lines("completed")) + "\n")
    copy.replace(run.events)
    events = poll(follower).events
    assert len(events) == len(golden_lines("completed")) - 60
    assert follower.state == read_state(run)[0]


def test_stale_file_handle_is_ignored(tmp_path, monkeypatch):
    run = golden_run(tmp_path, "completed")
    reader = LogReader(run.events)
    with monkeypatch.context() as patch:
        patch.setattr(log, "open_regular", failing(errno.ESTALE))
        assert list(reader.poll()) == []
    assert len(list(reader.poll())) == len(golden_lines("completed"))


def failing(number):
    """Return a function that raises an OSError with an error number."""

    def fail(*_args, **_options):
        raise OSError(number, os.strerror(number))

    return fail


def test_error_lasts_while_connection_is_lost(tmp_path, monkeypatch):
    run = running_run(tmp_path, 60)
    follower = Follower(run, trains_here=False)
    with monkeypatch.context() as patch:
        patch.setattr(log, "open_regular", failing(errno.ENOTCONN))
        for _ in range(3):
            batch = poll(follower)
            assert (batch.events, batch.output, batch.has_more) == ([], [], False)
            assert follower.error == os.strerror(errno.ENOTCONN)
    events = poll(follower).events
    assert len(events) == 60
    assert follower.error == ""


def test_events_read_before_error_are_kept(tmp_path, monkeypatch):
    run = golden_run(tmp_path, "completed")
    follower = Follower(run, trains_here=False)
    with monkeypatch.context() as patch:
        patch.setattr(log, "CHUNK_BYTES", 4096)
        patch.setattr(log, "open_regular", FailingSecondRead)
        poll(follower)
    poll(follower)
    assert follower.state == read_state(run)[0]


class FailingSecondRead(io.FileIO):
    """File whose second read fails."""

    def read(self, size=-1):
        if self.tell():
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return super().read(size)


async def test_screen_shows_lost_connection_and_recovers(tmp_path, monkeypatch):
    run = running_run(tmp_path, 60)
    app = Dashboard(RunScreen(run))
    async with app.run_test(size=(120, 36)) as pilot:
        await settle(pilot)
        with monkeypatch.context() as patch:
            patch.setattr(log, "open_regular", failing(errno.ENOTCONN))
            patch.setattr(Path, "stat", failing(errno.ENOTCONN))
            for _ in range(2):
                app.screen.poll()
            await wait_for_text(pilot, "Cannot read the run: Transport endpoint")
        run.events.write_text("\n".join(golden_lines("completed")) + "\n")
        app.screen.poll()
        await wait_for_text(pilot, "✓ done")
        assert "Cannot read the run" not in screen_text(app)


@pytest.fixture
def hanging_files(monkeypatch):
    """Function that makes reads of the runs hang, as on a server that does not answer."""
    answered, reading = threading.Event(), threading.Event()
    opened = log.open_regular

    def hang(path):
        reading.set()
        assert answered.wait(60)
        return opened(path)

    def start():
        monkeypatch.setattr(log, "open_regular", hang)
        return reading

    yield start
    answered.set()


async def wait_for(pilot, event):
    """Wait until a thread has set the event."""
    while not event.is_set():
        await pilot.pause(0.01)


@pytest.fixture
def quick_pilot(monkeypatch):
    """Keys are pressed without waiting for the workers, which hang."""

    async def handle_messages(*_, **__):
        for _ in range(20):
            await asyncio.sleep(0.005)
        return True

    monkeypatch.setattr(textual.pilot, "wait_for_idle", handle_messages)
    monkeypatch.setattr(textual.pilot.Pilot, "_wait_for_screen", handle_messages)
    monkeypatch.setattr(textual.app, "wait_for_idle", handle_messages)


@pytest.mark.usefixtures("quick_pilot")
async def test_keys_of_a_run_work_while_its_files_hang(tmp_path, monkeypatch, hanging_files):
    run = running_run(tmp_path, 60)
    app = Dashboard(RunScreen(run))
    monkeypatch.setattr("cnn_tui.dashboard.screens.run.SLOW_SECONDS", 0.0)
    async with app.run_test(size=(120, 36)) as pilot:
        await wait_for_text(pilot, "validating")
        reading = hanging_files()
        app.screen.poll()
        await wait_for(pilot, reading)
        await pilot.press("2")
        await wait_for_text(pilot, "Confusion matrix")
        await pilot.press("question_mark")
        await wait_for_text(pilot, "All views")
        await pilot.press("escape")
        app.screen.poll()
        await wait_for_text(pilot, "do not answer")
        await pilot.press("p")  # written as soon as the server answers
        await pilot.press("q")
        await pilot.pause()
    assert not app.is_running


@pytest.mark.usefixtures("quick_pilot")
async def test_keys_of_the_list_work_while_its_files_hang(tmp_path, hanging_files):
    for run_id in ("a", "b"):
        golden_run(tmp_path, "completed", run_id)
    app = Dashboard(RunsScreen(tmp_path))
    async with app.run_test(size=(120, 36)) as pilot:
        await wait_for_text(pilot, "2 runs")
        running_run(tmp_path, 60, "c")
        reading = hanging_files()
        app.screen.poll()
        await wait_for(pilot, reading)
        before = app.screen.rows.cursor
        await pilot.press("end" if before == 0 else "home")
        assert app.screen.rows.cursor != before
        await pilot.press("asterisk")  # set as soon as the server answers
        await pilot.press("slash", "x")
        await wait_for_text(pilot, "/x")
        await pilot.press("escape", "q")
        await pilot.pause()
    assert not app.is_running


@pytest.mark.usefixtures("quick_pilot")
async def test_comparison_closes_while_files_hang(tmp_path, hanging_files):
    runs = [golden_run(tmp_path, "completed", run_id) for run_id in ("a", "b")]
    app = Dashboard(CompareScreen(runs))
    async with app.run_test(size=(120, 36)) as pilot:
        await wait_for_text(pilot, "Comparing 2 runs")
        reading = hanging_files()
        app.screen.poll()
        await wait_for(pilot, reading)
        await pilot.press("2")
        await wait_for_text(pilot, "Config differences")
        await pilot.press("q")
        await pilot.pause()
    assert not app.is_running


@pytest.mark.parametrize("name", ["events", "console"])
async def test_screen_survives_deleted_run(tmp_path, name):
    run = running_run(tmp_path, 60)
    app = Dashboard(RunScreen(run))
    async with app.run_test(size=(120, 36)) as pilot:
        await settle(pilot)
        getattr(run, name).unlink(missing_ok=True)
        app.screen.poll()
        await settle(pilot)
        assert app.is_running


def test_events_with_many_values_are_read_in_smaller_batches(tmp_path):
    run = running_run(tmp_path, 2)
    values = {f"value {number}": (1.0,) for number in range(400)}
    add_events(run, *(events.ScalarsLogged(step=step, values=values) for step in range(50)))
    follower = Follower(run, trains_here=False)
    batches = [follower.read()]
    while batches[-1].has_more:
        batches.append(follower.read())
    sizes = [len(batch.events) for batch in batches]
    assert sum(sizes) == 52
    assert max(sizes) < 30
