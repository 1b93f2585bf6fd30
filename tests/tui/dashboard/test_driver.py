"""The byte budget of the driver."""

import time

from cnn_tui.dashboard.driver import BYTES_PER_SECOND, MAX_DEBT, MAX_SAVED_BYTES, ByteBudget

FRAME = 3_000
SECONDS = 1_000


def test_budget_limits_the_average_rate(monkeypatch):
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


def test_unused_budget_is_limited(monkeypatch):
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    budget = ByteBudget()
    now = 3_600.0
    assert budget.has_room()
    budget.spend(MAX_SAVED_BYTES)
    assert not budget.has_room()
    now += 0.1
    assert budget.has_room()


def test_debt_is_limited(monkeypatch):
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    budget = ByteBudget()
    budget.spend(10 * MAX_SAVED_BYTES)
    now = 1 + MAX_DEBT / BYTES_PER_SECOND
    assert budget.has_room()
