"""What may be written to a terminal in the long run."""

import time

from cnn_tui.dashboard.driver import BYTES_PER_SECOND, MAX_DEBT, MAX_SAVED_BYTES, ByteBudget

FRAME = 3_000
SECONDS = 1_000


def test_frames_wait_so_that_over_time_no_more_is_written(monkeypatch):
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    budget, frames = ByteBudget(), 0
    for _ in range(SECONDS):
        now += 1.0
        if budget.has_room():
            budget.spend(FRAME)
            frames += 1
    allowed = MAX_SAVED_BYTES + BYTES_PER_SECOND * SECONDS
    assert allowed - FRAME < frames * FRAME < allowed + FRAME


def test_silence_saves_up_for_one_large_screen_and_no_more(monkeypatch):
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    budget = ByteBudget()
    now = 3_600.0
    assert budget.has_room()
    budget.spend(MAX_SAVED_BYTES)
    assert not budget.has_room()
    now += 0.1
    assert budget.has_room()


def test_however_much_was_written_the_screen_soon_changes_again(monkeypatch):
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    budget = ByteBudget()
    budget.spend(10 * MAX_SAVED_BYTES)
    now = 1 + MAX_DEBT / BYTES_PER_SECOND
    assert budget.has_room()
