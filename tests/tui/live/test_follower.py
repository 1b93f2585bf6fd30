"""Follower and screens of a run whose files disappear and return, as on a network drive."""

import errno
import io
import os
from pathlib import Path

import pytest

from cnn_engine.runlog import log
from cnn_engine.runlog.log import LogReader
from cnn_engine.runs.summary import read_state
from cnn_tui.dashboard.app import Dashboard
from cnn_tui.dashboard.screens.compare import CompareScreen
from cnn_tui.dashboard.screens.run import RunScreen
from cnn_tui.live.follower import Follower
from golden import golden_lines, golden_run, running_run
from pilot import screen_text, settle, wait_for_text


def test_replaced_log_resets_state(tmp_path):
    run = golden_run(tmp_path, "completed")
    follower = Follower(run, trains_here=False)
    follower.poll()
    assert follower.state.has_ended
    run.events.write_text("\n".join(golden_lines("completed")[:60]) + "\n")
    follower.poll()
    assert follower.state == read_state(run)[0]
    assert not follower.state.has_ended


def test_log_replaced_by_longer_copy_is_continued(tmp_path):
    run = running_run(tmp_path, 60)
    follower = Follower(run, trains_here=False)
    follower.poll()
    copy = run.path / "copy"
    copy.write_text("\n".join(golden_lines("completed")) + "\n")
    copy.replace(run.events)
    events, _ = follower.poll()
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
            assert follower.poll() == ([], [])
            assert follower.error == os.strerror(errno.ENOTCONN)
            assert not follower.has_more
    events, _ = follower.poll()
    assert len(events) == 60
    assert follower.error == ""


def test_events_read_before_error_are_kept(tmp_path, monkeypatch):
    run = golden_run(tmp_path, "completed")
    follower = Follower(run, trains_here=False)
    with monkeypatch.context() as patch:
        patch.setattr(log, "CHUNK_BYTES", 4096)
        patch.setattr(log, "open_regular", FailingSecondRead)
        follower.poll()
    follower.poll()
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


@pytest.mark.parametrize("screen", [RunScreen, CompareScreen])
async def test_only_one_timer_waits_for_the_next_read(tmp_path, monkeypatch, screen):
    run, timers = running_run(tmp_path, 60), []
    app = Dashboard(RunScreen(run) if screen is RunScreen else CompareScreen([run, run]))

    async with app.run_test(size=(120, 36)) as pilot:
        await settle(pilot)
        set_timer = app.screen.set_timer
        with monkeypatch.context() as patch:
            patch.setattr(Follower, "has_more", True)
            patch.setattr(
                app.screen,
                "set_timer",
                lambda *arguments: timers.append(set_timer(*arguments)) or timers[-1],
            )
            for _ in range(5):
                app.screen.poll()
        waiting = [timer for timer in timers if timer._task is not None]
        assert len(timers) == 5
        assert waiting == timers[-1:]
        await settle(pilot)


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
