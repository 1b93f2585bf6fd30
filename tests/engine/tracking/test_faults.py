"""Faults that must not reach the loop, and ends of runs: processes, disks, exceptions."""

import os
import shutil
import signal
import subprocess
import sys
import threading

import pytest

from cnn_engine.runlog import events
from cnn_engine.runlog.log import GONE, LogReader
from cnn_engine.runs.directory import list_runs
from cnn_engine.runs.summary import read_state, read_summary
from recorded_loops import LoopForTests
from runs_for_tests import events_of
from small_disk import fill_disk, mounted_disk


def execute(tmp_path, code, **options):
    """Run a program with a loop; return its result."""
    return subprocess.run(
        [sys.executable, "-c", f"import cnn_tui\n{code}"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)} | options,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def run_program(tmp_path, code, **options):
    """Run a program with a loop; return its result, and the state of its run."""
    result = execute(tmp_path, code, **options)
    (run,) = list_runs(tmp_path / "runs")
    return result, run, read_state(run)[0]


@pytest.mark.parametrize(
    ("end", "code", "status", "error"),
    [
        ("pass", 0, "done", ""),
        ("import sys; sys.exit()", 0, "done", ""),
        ("import sys; sys.exit(3)", 3, "failed", "the program ended with SystemExit: 3"),
        ("raise ValueError('bad\\nshape')", 1, "failed", "ValueError: bad shape; see "),
        ("raise KeyboardInterrupt", -2, "stopped", ""),
        ("import os; os._exit(0)", 0, "interrupted", ""),
    ],
)
def test_program_that_ends_by_itself_ends_its_run(tmp_path, end, code, status, error):
    result, run, state = run_program(
        tmp_path, f"run = cnn_tui.init()\nrun.log({{'loss': 1}})\n{end}"
    )
    assert result.returncode == code
    summary = read_summary(run)
    assert (summary.status, state.finished.error if state.finished else "")[0] == status
    if status == "interrupted":
        return
    assert state.finished.error.startswith(error)
    assert state.steps_done == 1
    if "ValueError" in end:
        assert result.stderr.count("Traceback") == 1  # that of Python itself
        assert "ValueError: bad" in run.console.read_text()


def test_forked_processes_neither_write_nor_end_the_run(tmp_path):
    """As workers of a DataLoader: they inherit the run, and one that lives on does not hold it."""
    code = """
import os, sys, time
run = cnn_tui.init()
read, write = os.pipe()
if not os.fork():
    run.log({"child": 1})
    cnn_tui.log({"child": 1})
    list(run.steps([1]))
    cnn_tui.finish()
    if os.fork():
        sys.exit(3)
    os.close(write)
    os.read(read, 1)  # lives until its parent has ended the run
    os._exit(0)
os.wait()
run.log({"loss": 1})
run.finish()
from cnn_engine.runlog import events
from cnn_engine.storage.locks import is_locked
print(is_locked(run.path / "events.jsonl"))
"""
    result, _, state = run_program(tmp_path, code)
    assert result.stderr.count("\n") == 1
    assert result.stdout == "False\n"
    assert (state.status, list(state.series)) == ("done", ["loss"])


def test_processes_of_multiprocessing_end_their_runs(tmp_path):
    """A forked one ends without `atexit` and `sys.excepthook`."""
    code = """
from multiprocessing import get_context

def train(ending):
    cnn_tui.init().log({"loss": 1})
    if ending == "failed":
        raise ValueError("child")

for ending in ("done", "failed"):
    process = get_context("fork").Process(target=train, args=(ending,))
    process.start()
    process.join()
"""
    execute(tmp_path, code)
    runs = list_runs(tmp_path / "runs")
    assert sorted(read_summary(run).status for run in runs) == ["done", "failed"]


def test_signal_stops_the_loop_if_asked_for(tmp_path):
    code = """
import os, signal, time
run = cnn_tui.init(signals=True)
for step in run.steps(range(10**9)):
    run.log({"loss": 1})
    if step == 3:
        os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(0.01)
print("saved")
"""
    result, _, state = run_program(tmp_path, code)
    assert (result.returncode, result.stdout) == (0, "saved\n")
    assert (state.status, state.finished.exit_code) == ("stopped", 128 + signal.SIGTERM)


def test_signal_ends_a_loop_that_cannot_be_stopped(tmp_path):
    code = (
        "import os, signal\nrun = cnn_tui.init(signals=True)\nos.kill(os.getpid(), signal.SIGTERM)"
    )
    result, run, _ = run_program(tmp_path, code)
    assert result.returncode == -signal.SIGTERM
    assert read_summary(run).status == "interrupted"


def test_exception_in_a_with_block_fails_the_run(tmp_path):
    loop = LoopForTests(tmp_path)
    with pytest.raises(ZeroDivisionError), loop.run:
        loop.run.log({"loss": 1 / 0})
    state, _ = read_state(loop.directory)
    assert (state.status, state.finished.exit_code) == ("failed", 1)
    assert state.finished.error.startswith("ZeroDivisionError: division by zero; see ")
    assert "1 / 0" in loop.directory.console.read_text()


def test_exception_with_any_text_fails_the_run(tmp_path):
    loop = LoopForTests(tmp_path)
    with pytest.raises(ValueError, match="x"), loop.run:
        raise ValueError("x\ud800\n\x1b[31m" + "y" * 5000)
    state, damaged = read_state(loop.directory)
    assert (state.status, damaged) == ("failed", 0)
    assert len(state.finished.error) < 1200
    assert "\\ud800" in loop.directory.console.read_text()


def test_ctrl_c_in_a_with_block_stops_the_run(tmp_path):
    loop = LoopForTests(tmp_path)
    with pytest.raises(KeyboardInterrupt), loop.run:
        raise KeyboardInterrupt
    state, _ = read_state(loop.directory)
    assert (state.status, state.finished.exit_code) == ("stopped", 130)


def fail():
    raise ZeroDivisionError


def run_in_thread(*calls):
    """Make calls in another thread, the last of which may fail."""
    thread = threading.Thread(target=lambda: [call() for call in calls])
    thread.start()
    thread.join()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_exception_in_the_thread_that_logs_fails_the_run(tmp_path):
    loop, other = LoopForTests(tmp_path), LoopForTests(tmp_path)
    other.run.log({"loss": 1.0})
    run_in_thread(fail)
    run_in_thread(lambda: loop.run.log({"loss": 1.0}), sys.exit)
    assert not read_state(loop.directory)[0].finished
    run_in_thread(lambda: loop.run.log({"loss": 1.0}), fail)
    state, _ = read_state(loop.directory)
    assert (state.status, state.steps_done) == ("failed", 2)
    assert state.finished.error.startswith("ZeroDivisionError; see ")
    assert read_state(other.finish())[0].status == "done"


def test_mistake_in_an_interactive_session_does_not_end_the_run(tmp_path, monkeypatch, capsys):
    loop = LoopForTests(tmp_path)
    monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)
    error = NameError("lss")
    sys.excepthook(NameError, error, None)
    assert "NameError: lss" in capsys.readouterr().err
    loop.run.log({"loss": 1.0})
    assert read_state(loop.finish())[0].status == "done"


def test_hooks_of_the_process_are_restored(tmp_path):
    before = sys.excepthook, sys.exit, threading.excepthook
    loops = [LoopForTests(tmp_path) for _ in range(2)]
    assert (sys.excepthook, sys.exit, threading.excepthook) != before
    for loop in loops:
        loop.finish()
        loop.finish()
    assert (sys.excepthook, sys.exit, threading.excepthook) == before


def test_full_disk_loses_nothing_and_stays_within_bounds(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("cnn_engine.tracking.recording.MAX_UNWRITTEN_BYTES", 3000)
    with mounted_disk(tmp_path) as disk:
        loop = LoopForTests(disk / "runs")
        loop.run.log({"loss": 1.0})
        loop.flush()
        filler = fill_disk(disk)
        for _ in range(50):
            loop.run.log({"loss": 2.0})
            loop.flush()
        assert 3000 < loop.run._recording.recorder.unwritten_bytes < 8000
        filler.unlink()
        state, damaged = read_state(loop.finish())
        assert not damaged
        assert (state.status, state.steps_done) == ("done", 51)
        steps = events_of(loop.directory, events.StepsFinished)
        assert sum(event.steps for event in steps) == 51
    assert capsys.readouterr().err.count("No space left on device") == 1


def test_deleted_directory_is_reported_once_and_the_loop_goes_on(tmp_path, capsys):
    loop = LoopForTests(tmp_path)
    shutil.rmtree(loop.directory.path)
    for _ in range(3):
        loop.run.log({"loss": 1.0})
        loop.run._recording.recorder._check_at = 0.0
        loop.flush()
    assert loop.run.name
    loop.run.name = "renamed"
    loop.finish()
    lines = capsys.readouterr().err.splitlines()
    assert next(line for line in lines if "cannot be written" in line).endswith(GONE)
    assert len(lines) == 4  # start, the log, the name, and the end
    assert not loop.directory.path.exists()


def test_killed_loop_leaves_what_it_wrote(tmp_path):
    loop = LoopForTests(tmp_path).train_epochs(2)
    loop.kill()
    reader = LogReader(loop.directory.events)
    assert list(reader.poll())
    assert reader.damaged_lines == 0
    assert read_summary(loop.directory).status == "interrupted"


def test_threads_that_still_log_as_the_run_ends_write_nowhere(tmp_path):
    loop = LoopForTests(tmp_path)
    recording = loop.run._recording
    loop.finish()
    other = (tmp_path / "other").open("wb")  # gets the descriptor of the log
    assert other.fileno() == recording.recorder._log.descriptor
    loop.run._recording = recording
    for _ in range(20_000):
        loop.run.log({"loss": 1.0})
    loop.run.saved("x")
    recording._poll()
    other.close()
    assert not (tmp_path / "other").read_bytes()


def test_what_is_logged_after_the_end_is_reported_once(tmp_path, capsys):
    run = LoopForTests(tmp_path).run
    run.finish()
    capsys.readouterr()
    for _ in range(2):
        run.log({"loss": 1.0})
        run.validated([0], [0])
        run.saved("x")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("the run has ended, and records nothing more: call cnn_tui.init() again")
