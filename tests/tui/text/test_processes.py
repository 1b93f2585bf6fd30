"""Texts about the processes that train a run together."""

import dataclasses
import io

import pytest

from cnn_engine.runlog import events
from cnn_engine.runlog.lines import from_line
from cnn_engine.runlog.state import RunState
from cnn_engine.runs.directory import RunDirectory
from cnn_engine.runs.summary import summarize
from cnn_tui.exports.facts import environment_facts
from cnn_tui.exports.record import Record
from cnn_tui.headless.printer import LinePrinter
from cnn_tui.text.events import device_text
from cnn_tui.text.log_lines import log_line
from cnn_tui.text.processes import joined_text, machine_count, milliseconds
from event_samples import prepared, state_after
from golden import DATA, golden_lines

LOGGED = [*map(from_line, golden_lines("distributed"))]


def joined(*hosts, restarts=0):
    pids, devices = range(len(hosts)), ["cpu"] * len(hosts)
    return events.ProcessesJoined(
        hosts=hosts, pids=tuple(pids), devices=tuple(devices), restarts=restarts
    )


def test_device_of_several_processes_has_their_number():
    state = state_after(*LOGGED)
    assert device_text(state.prepared) == "cpu ×1, 2 processes"
    one = dataclasses.replace(state.prepared, environment={"processes": "1"})
    assert device_text(one) == device_text(prepared()) == "cpu ×1"


@pytest.mark.parametrize(("count", "label"), [("1", None), ("2", "Processes")])
def test_report_lists_more_than_one_process(count, label):
    state = state_after(*LOGGED)
    state.prepared = dataclasses.replace(state.prepared, environment={"processes": count})
    run = RunDirectory(DATA)
    facts = environment_facts(Record(run=run, state=state, summary=summarize(state, run)))
    labels = {fact.id: fact.label for fact in facts}
    assert labels.get("processes") == label


@pytest.mark.parametrize(
    ("hosts", "text", "machines"),
    [
        (("vm",), "1 process on vm", ""),
        (("vm", "vm"), "2 processes on vm", ""),
        (("a", "a", "b", "b"), "4 processes on a, b", "2 machines"),
        (tuple("abcdefgh"), "8 processes on a, b, c and 5 more", "8 machines"),
    ],
)
def test_hosts_of_processes_are_named_once(hosts, text, machines):
    event = joined(*hosts)
    assert joined_text(event) == text
    assert machine_count(state_after(event)) == machines


def test_lost_and_restarted_processes_are_lines_of_the_log_and_the_output():
    lines = [line.text for event in LOGGED if (line := log_line(event))]
    lost = "process was lost: Read error [127.0.0.1]:921: Connection reset by peer"
    again = "2 processes on box, started again after one was lost (restart 1)"
    first = lines.index("2 processes on box")
    assert first < lines.index(f"a {lost}") < lines.index(again)
    state, output = RunState(), io.StringIO()
    printer = LinePrinter(io.StringIO(), output)
    for event in LOGGED:
        state.apply(event)
        printer.show(event, state)
    assert {"2 processes on box", f"A {lost}", again} <= {*output.getvalue().splitlines()}
    assert f"A {lost}" in [notice.text for notice in state.notices]


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("[a/pair.cc:5] Broken pipe. Check the logs", "Broken pipe"),
        ("[1] no answer", "[1] no answer"),
    ],
)
def test_reason_of_a_lost_process_is_short(message, reason):
    assert events.ProcessLost(text=message).reason == reason


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0041, "4.10"), (0.01434, "14.3"), (0.25, "250"), (1.25, "1,250"), (0.009999, "10.0")],
)
def test_durations_of_steps_have_three_digits(seconds, text):
    assert milliseconds(seconds) == text
