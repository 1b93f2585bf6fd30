"""State, summary, alarms and printed lines of any log are computed without an error."""

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnn_engine.results.metrics import metrics_of
from cnn_engine.runlog.alarms import find_alarms
from cnn_engine.runlog.lines import from_line
from cnn_engine.runlog.state import RunState
from cnn_engine.runs.directory import RunDirectory
from cnn_engine.runs.summary import summarize
from cnn_tui.dashboard.widgets.processes import Processes
from cnn_tui.headless.printer import JsonPrinter, LinePrinter
from cnn_tui.text.json import to_json
from cnn_tui.text.log_lines import log_line
from cnn_tui.text.metrics import metric_rows
from cnn_tui.text.processes import processes_line
from golden import DATA, golden_lines

PROPERTIES = [name for name, value in vars(RunState).items() if isinstance(value, property)]

ODD_NUMBERS = st.sampled_from(
    [0, -1, 1, 2**31, 2**62, 2**63 - 1, -(2**63), 0.0, -0.5, 1e-320, 1e308, -1e308]
)
ODD_VALUES = (
    ODD_NUMBERS
    | st.sampled_from([None, True, "", "inf", "nan", "\\x1b[2J\\ud800", [], {}, [[]], 10**30])
    | st.lists(ODD_NUMBERS, max_size=4)
    | st.lists(st.lists(ODD_NUMBERS, min_size=3, max_size=3), max_size=3)
    | st.dictionaries(st.sampled_from(["train", "epochs", "val_loss", "lr"]), ODD_NUMBERS)
)
LINES = [
    json.loads(line)
    for name in ("completed", "resumed", "failed", "stopped", "distributed")
    for line in golden_lines(name)
]
FEW = [
    line
    for index, line in enumerate(LINES)
    if sum(other["kind"] == line["kind"] for other in LINES[:index]) < 2
]
"""The first two lines of each kind, in order."""


@st.composite
def damaged_logs(draw):
    """Draw the lines of a log: of a real one, with some fields changed, lines lost and moved."""
    lines = list(FEW)
    for index in draw(st.lists(st.integers(0, len(FEW) - 1), max_size=5)):
        key, kind = draw(st.sampled_from(sorted(lines[index]))), lines[index]["kind"]
        change = {key: draw(ODD_VALUES)}
        if draw(st.booleans()):
            change |= {"nonfinite": {key: draw(st.sampled_from(["nan", "inf", "-inf"]))}}
        for other in range(len(lines)) if draw(st.booleans()) else (index,):
            if lines[other]["kind"] == kind:
                lines[other] = lines[other] | change
    for start in draw(st.lists(st.integers(0, len(FEW) - 1), max_size=3)):
        moved = lines.pop(start % len(lines))
        if draw(st.booleans()):
            lines.insert(draw(st.integers(0, len(lines))), moved)
    return [json.dumps(line) for line in lines]


def show_all(lines):
    """Show every event of a log and the state after it, as commands and screens do."""
    state = RunState()
    printers = [LinePrinter(io.StringIO(), io.StringIO()), JsonPrinter(io.StringIO())]
    for line in lines:
        try:
            event = from_line(line)
        except ValueError:
            continue
        if event is None:
            continue
        state.apply(event)
        log_line(event)
        for printer in printers:
            printer.show(event, state)
        for name in PROPERTIES:
            getattr(state, name)
    processes_line(state)
    Processes().draw(state, 42, 9)
    for is_live in (True, False):
        find_alarms(state, state.last_time + 100.0, is_live)
    if state.test is not None:
        metrics = metrics_of(state.test, state.prepared)
        classes = state.prepared.classes if state.prepared else ()
        metric_rows(metrics, classes)
    json.loads(to_json(summarize(state, RunDirectory(DATA), 1).as_dict()))


@given(damaged_logs())
def test_damaged_log_is_shown(lines):
    """A log with a batch size of 0, 0 steps, negative or huge numbers is shown all the same."""
    show_all(lines)


NOTHING, NAN, INFINITE = object(), object(), object()


def changed(line, key, value):
    """Return a line of a log with another value of a field."""
    if value is NOTHING:
        return {name: line[name] for name in line if name != key}
    if value in (NAN, INFINITE):
        return line | {"nonfinite": {key: "nan" if value is NAN else "-inf"}}
    return line | {key: value}


@pytest.mark.parametrize(
    "value",
    [0, -1, 2**63 - 1, 1e308, None, [], [0] * 10, NOTHING, NAN, INFINITE],
    ids=["0", "-1", "2^63", "1e308", "null", "empty", "zeros", "missing", "nan", "-inf"],
)
def test_every_field_can_have_any_value(value):
    fields = {(line["kind"], key) for line in FEW for key in line if key != "kind"}
    for kind, key in sorted(fields):
        show_all(
            json.dumps(changed(line, key, value) if line["kind"] == kind else line) for line in FEW
        )
