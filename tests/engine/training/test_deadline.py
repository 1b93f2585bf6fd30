"""Runs with a time limit: when they stop, in every phase, and how they go on."""

import time

import pytest

from cnn_engine.runlog.events import CommandApplied, EpochStarted, TimeLimitSet
from cnn_engine.system.end_time import END_TIME, JOB_END_TIME, find_end_time, set_time_limit
from cnn_engine.training import deadline
from cnn_engine.training.deadline import Deadline
from cnn_tui.dashboard.widgets.run_progress import RunProgress
from cnn_tui.text.log_lines import log_line
from event_samples import prepared, started, state_after, steps
from grammar import SESSIONS, event_letters
from runs_for_tests import RunForTests, events_of, wait_until


@pytest.fixture
def clock(monkeypatch):
    """Replace the clocks by one that the test advances; return a list with its time."""
    now = [1000.0]
    monkeypatch.setattr(time, "time", lambda: now[0])
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def seconds_left(planned, clock, end, save_seconds, interval):
    """Return the time from the moment at which a deadline is due to its end."""
    while not planned.is_due(save_seconds):
        clock[0] += interval
    return end - clock[0]


def test_run_stops_early_enough_for_a_checkpoint_and_the_longest_step(clock):
    end = clock[0] + 4000
    assert seconds_left(Deadline(end), clock, end, None, 0.5) == pytest.approx(20.5, abs=0.5)
    clock[0] = 1000.0
    planned = Deadline(end)
    clock[0] += 100  # loading
    planned.is_due(None)
    planned.begin()
    assert seconds_left(planned, clock, end, 30.0, 7) == pytest.approx(77, abs=7)


def test_margin_of_a_short_limit_is_a_part_of_it(clock):
    end = clock[0] + 30
    assert seconds_left(Deadline(end), clock, end, 0.1, 0.01) == pytest.approx(3.2, abs=0.1)


def test_limit_goes_before_the_end_of_the_job_and_a_past_job_is_ignored(clock, monkeypatch):
    monkeypatch.setenv(JOB_END_TIME, "1500")
    assert find_end_time() == 1500
    monkeypatch.setenv(END_TIME, "")  # removed again after the test
    set_time_limit(60)
    assert find_end_time() == 1060
    monkeypatch.delenv(END_TIME)
    for value in ("999", "", "never", "-1"):
        monkeypatch.setenv(JOB_END_TIME, value)
        assert find_end_time() is None


def test_time_limit_stops_a_run_in_every_phase_and_it_resumes_exactly(tmp_path, monkeypatch):
    expected = RunForTests(tmp_path, "train.epochs=2").train().live_state
    monkeypatch.setenv(END_TIME, str(int(time.time()) + 100_000))
    monkeypatch.setattr("cnn_engine.training.control.CHECK_SECONDS", 0.0)
    run = RunForTests(tmp_path, "train.epochs=2")
    stops_in = ["starting"]
    monkeypatch.setattr(deadline.Deadline, "is_due", lambda *_: run.live_state.status in stops_in)
    run.train()
    assert (run.live_state.status, run.engine.exit_code) == ("stopped", 124)
    assert run.live_state.steps_done == 0
    for stops_in[0] in ("training", "validating", "testing"):
        run.resume()
        assert (run.live_state.status, run.engine.exit_code) == ("stopped", 124)
    assert (run.live_state.test, len(run.live_state.epochs)) == (None, 2)
    applied = events_of(run.directory, CommandApplied)
    assert {(event.command, event.by) for event in applied} == {("stop", "time-limit")}
    assert len(events_of(run.directory, TimeLimitSet)) == 4
    monkeypatch.delenv(END_TIME)
    run.resume()
    state = run.live_state
    assert (state.status, state.end_time) == ("done", None)
    assert (state.test.loss, state.test.correct) == (expected.test.loss, expected.test.correct)
    assert SESSIONS.fullmatch(event_letters(run.events()))


def test_time_limit_is_shown_on_its_day_by_the_time(monkeypatch):
    end = time.mktime((2026, 11, 28, 14, 5, 0, 0, 0, -1))
    logged = [started(), prepared(), TimeLimitSet(end=end), EpochStarted(epoch=1), steps(1, 5)]
    state = state_after(*logged)
    for hours, text in ((5, "stops at 14:05"), (15, "stops at 2026-11-28 14:05")):
        monkeypatch.setattr(time, "time", lambda hours=hours: end - 3600 * hours)
        assert log_line(logged[2]).text == f"{text}, time limit"
        (line,) = RunProgress().draw(state, 160, 1)
        assert f"{text}, time limit" in line.plain
        (line,) = RunProgress().draw(state, 60, 1)
        assert "batch" in line.plain


def test_time_limit_stops_a_paused_run(tmp_path, monkeypatch):
    monkeypatch.setenv(END_TIME, str(int(time.time()) + 100_000))
    run = RunForTests(tmp_path, "train.epochs=100000")
    is_over = False
    monkeypatch.setattr(deadline.Deadline, "is_due", lambda *_: is_over)
    run.engine.start()
    wait_until(lambda: run.live_state.epoch)
    run.send("pause")
    wait_until(lambda: run.live_state.paused)
    is_over = True
    run.engine.join()
    assert (run.live_state.status, run.engine.exit_code) == ("stopped", 124)
    assert run.live_state.checkpoints[-1].file == "last.pt"
