"""What may be written to a terminal in the long run."""

import time

from cnn_tui.dashboard.driver import BYTES_A_SECOND, BYTES_AT_ONCE, MOST_BYTES_OWED, Allowance

FRAME = 3_000
SECONDS = 1_000


def test_frames_wait_so_that_over_time_no_more_is_written(monkeypatch):
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    allowance, frames = Allowance(), 0
    for _ in range(SECONDS):
        now += 1.0
        if allowance.is_left():
            allowance.spend(FRAME)
            frames += 1
    allowed = BYTES_AT_ONCE + BYTES_A_SECOND * SECONDS
    assert allowed - FRAME < frames * FRAME < allowed + FRAME


def test_silence_saves_up_for_one_large_screen_and_no_more(monkeypatch):
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    allowance = Allowance()
    now = 3_600.0
    assert allowance.is_left()
    allowance.spend(BYTES_AT_ONCE)
    assert not allowance.is_left()
    now += 0.1
    assert allowance.is_left()


def test_however_much_was_written_the_screen_soon_changes_again(monkeypatch):
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    allowance = Allowance()
    allowance.spend(10 * BYTES_AT_ONCE)
    now = 1 + MOST_BYTES_OWED / BYTES_A_SECOND
    assert allowance.is_left()
