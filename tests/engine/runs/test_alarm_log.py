"""Alarms are recorded in the log, and shown by lines, JSON and the dashboard."""

import io
import json

import pytest

from cnn_engine.runlog.alarms import Alarm
from cnn_engine.runlog.events import AlarmRaised, EpochFinished
from cnn_engine.runlog.lines import from_line, to_line
from cnn_engine.runlog.state import RunState
from cnn_engine.runs import alarm_log
from cnn_engine.runs.alarm_log import AlarmLog
from cnn_tui.dashboard.app import Dashboard
from cnn_tui.dashboard.screens.run import RunScreen
from cnn_tui.headless.printer import JsonPrinter, LinePrinter
from cnn_tui.text.log_lines import log_line
from golden import golden_lines
from pilot import screen_text, settle
from runs_for_tests import RunForTests, events_of

CODE = """
import torch
from torch import nn

class Dead(nn.Module):
    def __init__(self, *, channels, image_size, class_count):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, 4, 3), nn.ReLU(), nn.Flatten(),
            nn.Linear(4 * (image_size - 2) ** 2, class_count),
        )
        nn.init.constant_(self.layers[0].bias, -1000.0)
    def forward(self, images):
        return self.layers(images)
"""
TEXT = "no better than always answering"


@pytest.fixture
def dead(tmp_path, write_module):
    """Train a network that is dead from the start, for six epochs."""
    write_module("deadnet", CODE)
    run = RunForTests(tmp_path / "runs", "model.name='deadnet:Dead'", "train.epochs=6").train()
    assert run.live_state.status == "done"
    return run


def test_alarm_of_a_dead_network_is_shown_once_everywhere(dead):
    """A short run at chance has an alarm in the log, in lines and in JSON (chainer#4424)."""
    (alarm,) = events_of(dead.directory, AlarmRaised)
    assert (alarm.alarm, alarm.severity) == ("chance", "warning")
    assert alarm.text.startswith("The validation accuracy, ")
    assert TEXT in alarm.text
    assert dead.live_state.alarms == [alarm]
    order = [event for event in dead.events() if isinstance(event, EpochFinished | AlarmRaised)]
    assert order.index(alarm) == 3  # after the third epoch

    lines, as_json, state = io.StringIO(), io.StringIO(), RunState()
    printers = LinePrinter(lines, lines), JsonPrinter(as_json)
    for event in dead.events():
        state.apply(event)
        for printer in printers:
            printer.show(event, state)
    assert lines.getvalue().count(TEXT) == 1
    assert f"Warning: {alarm.text}. {alarm.advice}\n" in lines.getvalue()
    kinds = [json.loads(line)["kind"] for line in as_json.getvalue().splitlines()]
    assert kinds.count("AlarmRaised") == 1
    assert TEXT in log_line(alarm).text


async def test_dashboard_shows_a_recorded_alarm_once(dead):
    dashboard = Dashboard(RunScreen(dead.directory))
    async with dashboard.run_test(size=(200, 50)) as pilot:
        await settle(pilot)
        shown = [line for line in screen_text(dashboard).splitlines() if TEXT in line]
    # The box on top has the current state; the list of events below has the history.
    assert len([line for line in shown if "The test accuracy" in line]) == 1
    assert len([line for line in shown if "The validation accuracy" in line]) <= 1


@pytest.fixture
def recorder(tmp_path):
    run = RunForTests(tmp_path)
    yield run.recorder
    run.recorder.close()


def test_alarm_is_recorded_again_only_in_a_later_epoch(recorder, monkeypatch):
    present = []
    monkeypatch.setattr(alarm_log, "find_alarms", lambda *_, **__: [*present])
    log = AlarmLog(recorder)
    spike = Alarm(kind="spike", severity="warning", text="a", advice="b")

    def check(epoch, *alarms):
        recorder.state.epoch = epoch
        present[:] = alarms
        log.check()
        return len(recorder.state.alarms)

    assert [check(1, spike), check(1, spike), check(1), check(1, spike)] == [1, 1, 1, 1]
    assert [check(2, spike), check(2), check(3, spike), check(4, spike)] == [1, 1, 2, 2]


def test_alarm_comes_back_from_its_line():
    event = AlarmRaised(time=1.0, alarm="spike", severity="error", text="a", advice="b")
    assert from_line(to_line(event)) == event


@pytest.mark.parametrize("name", ["completed", "stopped", "failed"])
def test_logs_without_alarms_are_still_read(name):
    state = RunState()
    for line in golden_lines(name):
        state.apply(from_line(line))
    assert state.alarms == []
