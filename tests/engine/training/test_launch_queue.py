"""The host runs ahead of the GPU by a bounded time."""

import pytest
import torch

from cnn_engine.training.launch_queue import AHEAD_SECONDS, LaunchQueue


class Gpu:
    """A simulated GPU that takes `seconds` per step; the host takes none unless it waits."""

    def __init__(self, seconds):
        self.seconds = seconds
        self.now, self.free_at, self.waits = 0.0, 0.0, 0

    def step(self):
        self.free_at = max(self.free_at, self.now) + self.seconds

    def event(self, **_):
        gpu = self

        class Event:
            def record(self):
                self.at = max(gpu.free_at, gpu.now)

            def query(self):
                return gpu.now >= self.at

            def synchronize(self):
                gpu.waits += gpu.now < self.at
                gpu.now = max(gpu.now, self.at)

            def elapsed_time(self, later):
                return 1000 * (later.at - self.at)

        return Event()


@pytest.mark.parametrize("seconds", [0.0004, 0.004, 0.03, 0.5])
def test_host_is_ahead_by_bounded_time_and_gpu_never_idle(monkeypatch, seconds):
    gpu = Gpu(seconds)
    monkeypatch.setattr(torch.cuda, "Event", gpu.event)
    monkeypatch.setattr(torch.cuda, "Stream", lambda _: None)
    queue = LaunchQueue(torch.device("cuda", 0))
    queue.begin(0)
    ahead = []
    for step in range(1, 2001):
        gpu.step()
        queue.launched(step)
        ahead.append(gpu.free_at - gpu.now)
        assert queue.done <= step
    settled = ahead[100:]
    assert min(settled) > 0
    assert max(settled) <= max(AHEAD_SECONDS, 2 * seconds) + 0.011
    assert queue.done >= 2000 - max(settled) / seconds - 30
    if seconds < 0.001:
        assert gpu.waits < 2000 / 10  # fewer than one wait per ten steps


def test_host_gets_ahead_again_after_pause(monkeypatch):
    gpu = Gpu(0.001)
    monkeypatch.setattr(torch.cuda, "Event", gpu.event)
    monkeypatch.setattr(torch.cuda, "Stream", lambda _: None)
    queue = LaunchQueue(torch.device("cuda", 0))
    queue.begin(0)
    for step in range(1, 500):
        gpu.step()
        queue.launched(step)
        if step == 250:
            gpu.now += 60
    assert gpu.free_at - gpu.now > AHEAD_SECONDS / 2


def test_launched_steps_are_finished_on_cpu():
    queue = LaunchQueue(torch.device("cpu"))
    queue.begin(3)
    assert queue.done == 3
    queue.launched(4)
    assert queue.done == 4
    assert queue.to_host(torch.tensor([1.0])).tolist() == [1.0]
