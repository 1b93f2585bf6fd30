"""The job script of the documentation, run by a batch system in miniature."""

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from cnn_engine.runlog import events
from cnn_engine.runs.summary import read_state
from runs_for_tests import events_of, wait_until
from terminal import CLI, SET_SMALL, environment
from terminal_runs import epochs_done, only_run

PAGE = Path(__file__).parents[3] / "engine/docs/CLUSTER.md"
TINY = f"digits --epochs 60 {' '.join(SET_SMALL)}"


@pytest.fixture
def job(tmp_path):
    """Return a function that starts the job, with changes to its environment."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in {
        "srun": 'exec "$@"',
        "scontrol": f'echo "$@" >> {tmp_path}/scontrol.log',
        "cnn-tui": f"exec {CLI[0]} {CLI[1]} '{CLI[2]}' \"$@\"",
    }.items():
        (programs / name).write_text(f"#!/bin/bash\n{text}\n")
        (programs / name).chmod(0o755)
    (script,) = re.findall(r"^```bash\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    assert script.count("run cifar10 ") == 1
    (tmp_path / "job.sh").write_text(script.replace("run cifar10 ", f"run {TINY} "))
    started = []

    def start(**changes):
        process = subprocess.Popen(
            ["bash", "job.sh"],
            cwd=tmp_path,
            env=environment(
                PATH=f"{programs}:{os.environ['PATH']}",
                HOME=str(tmp_path),
                SLURM_JOB_NAME="night",
                SLURM_JOB_ID="4711",
                **changes,
            ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def test_job_is_signalled_requeued_and_continued_to_the_end(tmp_path, job):
    first = job()
    wait_until(lambda: list((tmp_path / "runs").glob("*/events.jsonl")))
    run = only_run(tmp_path)
    wait_until(lambda: epochs_done(run) >= 1)
    first.send_signal(signal.SIGUSR1)
    output, _ = first.communicate(timeout=60)
    state, _ = read_state(run)
    assert (state.status, state.finished.exit_code) == ("stopped", 138)
    assert state.started.name == "night"
    assert (first.returncode, (tmp_path / "scontrol.log").read_text()) == (0, "requeue 4711\n")
    assert "Traceback" not in output
    second = job(SLURM_RESTART_COUNT="1")
    output, _ = second.communicate(timeout=120)
    state, damaged = read_state(run)
    assert (second.returncode, state.status, damaged) == (0, "done", 0)
    assert len(state.epochs) == 60
    assert (state.resumed.file, len(events_of(run, events.RunResumed))) == ("last.pt", 1)
    assert "Test Accuracy (Overall)" in output
    assert (tmp_path / "scontrol.log").read_text() == "requeue 4711\n"
