"""`run --resume-or-start`: one command line starts a run, resumes it, and ends well once done."""

import os
import signal
import time
from dataclasses import replace

import pytest

from cnn_engine.errors import RunHeldError
from cnn_engine.runlog import events
from cnn_engine.runlog.lines import from_line, to_line
from cnn_engine.runs.directory import create_run, list_runs
from cnn_engine.runs.marks import read_marks, write_marks
from cnn_engine.runs.recorder import Recorder
from cnn_engine.runs.summary import read_state
from cnn_engine.session import named_run
from cnn_engine.session.named_run import find_named, locked_name, wait_until_silent
from cnn_engine.training.deadline import Deadline
from cnn_tui.cli import train
from event_samples import applied, started
from runs_for_tests import events_of
from terminal import SET_SMALL
from terminal_runs import only_run

NIGHT = ("run", "digits", "--resume-or-start", "night", "--epochs", "2", *SET_SMALL)


def named(runs_dir, name, *logged):
    """Return a run of a name whose log has these events, too."""
    run = create_run(runs_dir)
    with Recorder(run) as recorder:
        first = replace(started(), run_id=run.id, name=name, time=time.time())
        for event in (first, *logged):
            recorder.record(event)
    return run


def test_job_that_is_requeued_starts_resumes_and_ends(tmp_path, run_cli, monkeypatch):
    with monkeypatch.context() as patches:
        steps = iter(range(1000))
        patches.setattr(Deadline, "is_due", lambda *_: next(steps) > 30)
        patches.setattr("cnn_engine.training.control.CHECK_SECONDS", 0.0)
        first = run_cli(*NIGHT, "--time-limit", "55m", "--no-ui", cwd=tmp_path)
    run = only_run(tmp_path)
    assert (first.code, read_state(run)[0].started.name) == (124, "night")
    assert "Stops at " in first.errors
    assert ", time limit\n" in first.errors
    second = run_cli(*NIGHT, "--lr", "0.5", "--no-ui", cwd=tmp_path)
    assert (second.code, only_run(tmp_path).id) == (0, run.id)
    assert "continues with its own config, not with optimizer.lr=0.5 (run: " in second.errors
    assert "Resumed in epoch" in second.errors
    state, _ = read_state(run)
    assert (state.status, state.resumed.file, len(state.epochs)) == ("done", "last.pt", 2)
    results = second.out[second.out.index("Finished Training") :]
    third = run_cli(*NIGHT, "--no-ui", cwd=tmp_path)
    assert (third.code, third.out) == (0, results)
    assert f"run {run.id}: is done; nothing to train" in third.errors
    as_json = run_cli(*NIGHT, "--json", cwd=tmp_path)
    kinds = [type(from_line(line.encode())) for line in as_json.out.splitlines()]
    assert (as_json.code, kinds) == (0, [events.TestFinished, events.RunFinished])
    assert len(events_of(run, events.RunResumed)) == 1


def test_signal_before_the_handlers_are_installed_stops_the_run(tmp_path, run_cli, monkeypatch):
    real = train.create_run

    def create_run_and_signal(runs_dir):
        run = real(runs_dir)
        os.kill(os.getpid(), signal.SIGUSR1)
        return run

    monkeypatch.setattr(train, "create_run", create_run_and_signal)
    assert run_cli(*NIGHT, "--no-ui", cwd=tmp_path).code == 128 + signal.SIGUSR1
    state, _ = read_state(only_run(tmp_path))
    assert (state.status, state.commands[0].by) == ("stopped", "SIGUSR1")


def test_run_that_another_process_trains_is_left_to_it(tmp_path, run_cli):
    run = named(tmp_path / "runs", "night")
    with Recorder(run):
        result = run_cli(*NIGHT, "--no-ui", cwd=tmp_path)
    assert result.code == 5
    assert result.errors.endswith(f"is training it; to watch it: cnn-tui watch {run.id}\n")
    assert "Traceback" not in result.errors


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--name", "other"], "--name other: the name is that of --resume-or-start, night"),
        (["--repeat", "2"], "cannot be used with --resume-or-start"),
    ],
)
def test_options_that_contradict_are_refused(tmp_path, run_cli, options, text):
    result = run_cli(*NIGHT, *options, "--no-ui", cwd=tmp_path)
    assert (result.code, text in result.errors) == (2, True)
    assert not (tmp_path / "runs").exists()


def test_newest_run_of_the_name_is_found(tmp_path):
    """Renamed or not; neither one whose name only contains it, nor one of another program."""
    assert find_named(tmp_path / "runs", "night") is None
    old, new = named(tmp_path, "night"), named(tmp_path, "night")
    named(tmp_path, "night 2")
    named(tmp_path, "night", events.LoopDescribed())
    assert list_runs(tmp_path)[-1] == old
    assert find_named(tmp_path, "night") == new
    write_marks(new, replace(read_marks(new), name="best so far"))
    assert find_named(tmp_path, "night") == new
    assert find_named(tmp_path, "best so far") == new


def test_run_of_another_machine_is_waited_for_until_it_is_silent(tmp_path, monkeypatch):
    monkeypatch.setattr(named_run, "LOOK_SECONDS", 0.0)
    run = named(tmp_path, "night", applied("pause"))
    state, _ = read_state(run)
    real, looks = type(run).is_live, 0

    def is_live(directory, host):
        nonlocal looks
        looks += 1
        if looks == 3:
            past = time.time() - 61
            os.utime(run.events, (past, past))
        return real(directory, host)

    monkeypatch.setattr(type(run), "is_live", is_live)
    wait_until_silent(run, state)
    assert looks == 3
    os.utime(run.events)
    looks = 10
    monkeypatch.setattr(named_run.time, "sleep", lambda _: _grow(run))
    with pytest.raises(RunHeldError, match="process 1 on here is training it"):
        wait_until_silent(run, state)


def _grow(run):
    with run.events.open("a") as log:
        log.write(to_line(applied("unpause")) + "\n")


def test_second_process_does_not_start_the_run_too(tmp_path, run_cli):
    with locked_name(tmp_path / "runs", "night"):
        result = run_cli(*NIGHT, "--no-ui", cwd=tmp_path)
    assert result.code == 5
    assert "run 'night': another process is starting or training it" in result.errors
    assert list_runs(tmp_path / "runs") == []


def test_results_of_a_done_run_are_printed_while_another_process_shows_it(tmp_path, run_cli):
    end = events.RunFinished(status="done", exit_code=0, seconds=1.0)
    run = named(tmp_path / "runs", "night", end)
    with locked_name(tmp_path / "runs", "night"):
        result = run_cli(*NIGHT, "--no-ui", cwd=tmp_path)
    assert result.code == 0
    assert f"run {run.id}: is done; nothing to train" in result.errors


def test_end_of_an_earlier_job_is_ignored_with_a_notice(tmp_path, run_cli, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_END_TIME", str(int(time.time()) - 15))
    result = run_cli(*NIGHT, "--no-ui", cwd=tmp_path)
    assert result.code == 0
    assert "SLURM_JOB_END_TIME has passed: it is ignored" in result.errors
