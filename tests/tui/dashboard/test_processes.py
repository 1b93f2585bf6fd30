"""The panel with the processes of a run."""

import dataclasses
import fcntl
import os

import pytest

from cnn_engine.runlog import events
from cnn_engine.runlog.lines import from_line
from cnn_engine.runlog.state import STRAGGLER_EVENTS
from cnn_engine.runs.directory import RunDirectory
from cnn_engine.runs.recorder import Recorder
from cnn_engine.runs.summary import read_summary
from cnn_tui.dashboard.app import Dashboard
from cnn_tui.dashboard.screens.run import RunScreen
from cnn_tui.dashboard.widgets.processes import Processes
from event_samples import state_after
from golden import add_events, golden_lines, golden_run
from pilot import assert_screen, screen_text, settle

WIDTH = 42
"""Width of the panel's content at 120 columns."""


def joined(count=4, hosts=("a",), devices=("cpu",)):
    return events.ProcessesJoined(
        hosts=tuple(hosts[rank * len(hosts) // count] for rank in range(count)),
        pids=tuple(range(count)),
        devices=tuple(devices[rank * len(devices) // count] for rank in range(count)),
    )


def measured(*step_seconds):
    slowest = max(step_seconds)
    return events.ProcessesMeasured(
        step_seconds=step_seconds,
        exchange_seconds=tuple(0.002 + slowest - each for each in step_seconds),
        memory_bytes=(587 * 10**6,) * len(step_seconds),
    )


def drawn(*logged, width=WIDTH, height=10):
    return [line.plain for line in Processes().draw(state_after(*logged), width, height)]


def test_bar_is_relative_to_the_slowest_process():
    lines = drawn(joined(2), measured(0.01, 0.02))
    assert lines == [
        " #    step                 exchange memory",
        " 0 10.0 ms ━━━━━━━╸───────      55% 587 MB",
        " 1 20.0 ms ━━━━━━━━━━━━━━━       9% 587 MB",
    ]
    assert {len(line) for line in lines} == {WIDTH}


def test_straggler_is_marked_and_comes_first():
    logged = [measured(0.01, 0.01, 0.012, 0.01)] * STRAGGLER_EVENTS
    lines = drawn(joined(hosts=("node-a", "node-b")), *logged)
    assert [line.split()[:2] for line in lines] == [
        ["#", "host"],
        ["!2", "node-b"],
        ["0", "node-a"],
        ["1", "node-a"],
        ["3", "node-b"],
    ]
    assert not any("!" in line for line in drawn(joined(), *logged[1:]))


def test_columns_are_left_out_for_the_bar():
    logged = joined(hosts=("node-a", "node-b"), devices=("NVIDIA A100", "NVIDIA H200"))
    logged = logged, measured(0.01, 0.01, 0.01, 0.01)
    assert drawn(*logged, width=60)[0].split() == "# host device step exchange memory".split()
    assert drawn(*logged, width=50)[0].split() == "# host device step exchange".split()
    assert drawn(*logged)[0].split() == "# host step exchange".split()
    assert drawn(*logged, width=25)[0].split() == "# step exchange".split()


def test_one_line_is_as_short_as_it_has_to_be():
    logged = joined(2), measured(0.0141, 0.0143)
    full = "2 processes on a: step 14.1–14.3 ms, exchange 13%"
    assert drawn(*logged, width=len(full), height=1) == [full]
    assert drawn(*logged, width=46, height=1) == [full.replace(" on a", "")]
    assert drawn(*logged, width=36, height=1) == ["2 processes: step 14.1–14.3 ms"]
    assert drawn(joined(2), height=1) == ["2 processes on a"]


def test_missing_values_are_dashes():
    lines = drawn(joined(2), measured(0.01))
    assert lines[1].split()[:3] == ["0", "10.0", "ms"]
    assert [line.replace("─", "").split() for line in drawn(joined(1))[1:]] == [["0", *"–––"]]
    assert lines[2].replace("─", "").split() == ["1", *"–––"]
    assert drawn() == []


def cut_run(runs_dir, kind):
    """Return a run of this machine whose log ends with the first event of a kind."""
    logged = [*map(from_line, golden_lines("distributed"))]
    end = next(index for index, event in enumerate(logged) if isinstance(event, kind))
    run = RunDirectory(runs_dir / "1124-0412-amber")
    run.path.mkdir()
    for event in logged[: end + 1]:
        has_host = isinstance(event, events.RunStarted | events.RunResumed)
        here = dataclasses.replace(event, host=os.uname().nodename) if has_host else event
        add_events(run, here)
    return run


async def test_run_is_restarting_between_a_loss_and_the_start_of_its_processes(tmp_path):
    run = cut_run(tmp_path, events.ProcessLost)
    with run.launch.open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # as torchrun does
        assert read_summary(run).status == "restarting"
        app = Dashboard(RunScreen(run))
        async with app.run_test(size=(80, 24)) as pilot:
            await settle(pilot)
            assert "○ restarting" in screen_text(app).splitlines()[0]
            with Recorder(run):  # as the first of the new processes does
                app.screen.poll()
                await settle(pilot)
                assert "● training" in screen_text(app).splitlines()[0]
                assert read_summary(run).status == "training"
            fcntl.flock(lock, fcntl.LOCK_UN)
            app.screen.poll()
            await settle(pilot)
            assert "interrupted" in screen_text(app).splitlines()[0]
    assert read_summary(run).status == "interrupted"


def test_first_start_of_processes_is_no_restart(tmp_path):
    run = cut_run(tmp_path, events.RunStarted)
    with run.launch.open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert read_summary(run).status == "starting"


@pytest.mark.usefixtures("fixed_time")
@pytest.mark.parametrize("size", [(200, 60), (120, 36), (80, 24)])
async def test_screen_with_processes_matches_saved_screen(tmp_path, size):
    def until_last_epoch(line):
        return not isinstance(from_line(line), events.TestFinished | events.RunFinished)

    run = golden_run(tmp_path, "distributed")
    lines = [*filter(until_last_epoch, golden_lines("distributed"))][:-1]
    run.events.write_text("\n".join(lines) + "\n")
    app = Dashboard(RunScreen(run, trains_here=True))
    async with app.run_test(size=size) as pilot:
        await settle(pilot)
        await assert_screen(pilot, f"processes-{size[0]}x{size[1]}")
