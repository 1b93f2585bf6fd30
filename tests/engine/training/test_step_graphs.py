"""Capture and replay of training steps; a failed capture is cleaned up."""

import contextlib
import json
import random
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from cnn_engine.runlog.events import StepsCaptured
from cnn_engine.runlog.state import RunState
from cnn_engine.runs.summary import read_state
from cnn_engine.training import step_graphs
from cnn_engine.training.step_graphs import (
    MAX_GRAPHS,
    TIMED_EVERY,
    WARM_UP_CALLS,
    HostState,
    StepGraphs,
)
from cnn_engine.training.step_timer import StepTimer
from cnn_tui.dashboard.widgets.run_header import _device
from runs_for_tests import RunForTests


class Gpu:
    """A fake of CUDA that logs work when it runs, and captured work at each replay."""

    def __init__(self):
        self.capturing = None
        self.done, self.stream, self.state, self.cleaned = [], "main", "drawn", []

    def work(self, kind):
        """Run work of a kind now, or, while capturing, at each replay."""
        (self.done if self.capturing is None else self.capturing.work).append(kind)

    def graph_class(self):
        gpu = self

        class Graph:
            def __init__(self):
                self.work = []

            def replay(self):
                gpu.done.extend(self.work)

        return Graph

    @contextlib.contextmanager
    def graph(self, graph, pool, capture_error_mode):
        assert (pool, capture_error_mode) == ("pool", "thread_local")
        self.capturing, self.stream = graph, "side"
        try:
            yield
        finally:
            self.capturing = None
        self.stream = "main"  # like PyTorch, which does not restore it after an error


class Generator:
    def __init__(self, gpu):
        self.gpu = gpu

    def clone_state(self):
        return self.gpu.state

    def graphsafe_set_state(self, state):
        self.gpu.cleaned.append(state)


@pytest.fixture
def gpu(monkeypatch):
    fake = Gpu()
    cuda = step_graphs.torch.cuda
    monkeypatch.setattr(cuda, "CUDAGraph", fake.graph_class())
    monkeypatch.setattr(cuda, "graph", fake.graph)
    monkeypatch.setattr(cuda, "graph_pool_handle", lambda: "pool")
    monkeypatch.setattr(cuda, "current_stream", lambda _: fake.stream)
    monkeypatch.setattr(cuda, "set_stream", lambda stream: setattr(fake, "stream", stream))
    monkeypatch.setattr(cuda, "synchronize", lambda _: None)
    monkeypatch.setattr(cuda, "default_generators", [Generator(fake)], raising=False)
    monkeypatch.setattr(torch._C, "_cuda_endAllocateToPool", lambda *_: None, raising=False)
    return fake


DEVICE = SimpleNamespace(type="cuda", index=0)


def graphs_of(step, model=None, *, captures=True):
    """Return step graphs that collect their reports in `reports`."""
    reports = []
    timer = StepTimer(torch.device("cpu"))
    model = model or nn.Linear(1, 1)
    graphs = StepGraphs(step, model, DEVICE, timer, reports.append, captures=captures)
    graphs.reports = reports
    return graphs


def counted(gpu):
    """Return a list, and a step that appends its kind to it at each call."""
    calls = []

    def step(kind):
        calls.append(kind)
        gpu.work(kind)

    return calls, step


def test_steps_are_called_then_captured_then_replayed(gpu):
    calls, step = counted(gpu)
    graphs = graphs_of(step)
    for _ in range(10):
        graphs.run("whole")
    assert gpu.done == ["whole"] * 10
    assert len(calls) == WARM_UP_CALLS + 1  # and once to capture
    assert graphs.reports == [""]


def test_each_kind_has_its_own_graph(gpu):
    graphs = graphs_of(gpu.work)
    for _ in range(4):
        for kind in ("whole", "whole", "last"):
            graphs.run(kind)
    assert gpu.done == ["whole", "whole", "last"] * 4
    assert set(graphs._graphs) == {"whole", "last"}
    assert graphs.reports == [""]


def test_number_of_graphs_is_bounded(gpu):
    graphs = graphs_of(gpu.work)
    kinds = range(MAX_GRAPHS + 5)
    for kind in kinds:
        for _ in range(WARM_UP_CALLS + 1):
            graphs.run(kind)
    assert set(graphs._graphs) == set(kinds[-MAX_GRAPHS:])
    assert gpu.done == [kind for kind in kinds for _ in range(WARM_UP_CALLS + 1)]


def test_some_replayed_steps_are_called_for_timing(gpu):
    calls, step = counted(gpu)
    graphs = graphs_of(step)
    for _ in range(WARM_UP_CALLS + TIMED_EVERY + 1):
        graphs.run("whole")
    assert len(calls) == WARM_UP_CALLS + 2
    assert len(gpu.done) == WARM_UP_CALLS + TIMED_EVERY + 1


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("operation not permitted\nmore", "RuntimeError: operation not permitted"),
        ("", "RuntimeError: "),
    ],
)
def test_failed_capture_is_cleaned_up_and_reported_once(gpu, monkeypatch, message, reason):
    def step(kind):
        if gpu.capturing is not None:
            raise RuntimeError(message)
        gpu.work(kind)

    # Without a GPU there are no CUDA errors to clear.
    monkeypatch.setattr(step_graphs, "MAX_STALE_ERRORS", 0)
    model = nn.Linear(1, 1)
    model.weight.grad = torch.zeros(1, 1)
    graphs = graphs_of(step, model)
    for _ in range(8):
        graphs.run("whole")
    assert gpu.done == ["whole"] * 8
    assert gpu.stream == "main"
    assert gpu.cleaned == ["drawn"]
    assert model.weight.grad is None
    assert graphs.reports == [reason]


def test_steps_are_called_without_capture(gpu):
    graphs = graphs_of(gpu.work, captures=False)
    for _ in range(8):
        graphs.run("whole")
    assert gpu.done == ["whole"] * 8
    assert graphs.reports == []


class Counts(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(1, 1)
        self.calls = 0


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda _: None, ""),
        (lambda model: model.train(), ""),
        (
            lambda model: setattr(model, "calls", 1),
            "the model changes its attribute calls in a step",
        ),
        (lambda _: random.random(), "the model draws random numbers on the host"),
        (lambda _: torch.rand(1), "the model draws random numbers on the host"),
    ],
)
def test_host_state_changes_are_detected(change, reason):
    model = Counts()
    before = HostState(model)
    change(model)
    assert before.changes() == reason


def test_model_with_changing_attribute_is_not_captured(gpu):
    model = Counts()

    def step(kind):
        model.calls += 1
        gpu.work(kind)

    graphs = graphs_of(step, model)
    for _ in range(8):
        graphs.run("whole")
    assert model.calls == 8
    assert graphs.reports == ["the model changes its attribute calls in a step"]


def test_state_has_capture_result():
    state = RunState()
    state.apply(StepsCaptured())
    assert (state.is_captured, state.notices) == (True, [])
    state.apply(StepsCaptured(reason="it reads a tensor"))
    assert not state.is_captured
    assert "it reads a tensor" in state.notices[-1].text


def test_captured_run_is_shown_with_its_device(tmp_path, run_cli):
    """The log is of a run on the CPU, edited to be of one on a GPU."""
    run = RunForTests(tmp_path / "runs", "train.epochs=1").train()
    lines = run.directory.events.read_text().splitlines()
    log = []
    for line in lines:
        event = json.loads(line)
        if event["kind"] == "RunPrepared":
            event |= {"device": "cuda", "device_name": "NVIDIA H200", "threads": 16}
        log.append(json.dumps(event))
        if event["kind"] == "EpochStarted":
            log.append(json.dumps({"kind": "StepsCaptured", "time": event["time"], "reason": ""}))
    run.directory.events.write_text("\n".join(log) + "\n")
    state, _ = read_state(run.directory)
    assert _device(state).startswith("NVIDIA H200 · ")
    assert " · graph · seed 0" in _device(state)
    code, output, _ = run_cli("show", run.directory.id, cwd=tmp_path)
    assert code == 0
    assert "captured as a CUDA graph" in " ".join(output.split())
    assert "×16" not in output
    code, output, _ = run_cli(
        "export", run.directory.id, "--to", "json", "-o", "a.json", cwd=tmp_path
    )
    assert json.loads((tmp_path / "a.json").read_text())["is_captured"] is True
