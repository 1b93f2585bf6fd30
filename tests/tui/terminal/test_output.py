"""Output that cannot be written: a full disk, a closed stream, a reader that ends early."""

import fcntl
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from cnn_engine.runs.directory import list_runs
from cnn_engine.runs.summary import read_summary
from golden import golden_run
from photos_for_tests import make_photos
from runs_for_tests import RunForTests
from terminal import CLI, SET_SMALL, environment

FULL = Path("/dev/full")
PIPE_BYTES = 4096
CLOSED = ["sh", "-c", 'exec "$@" >&-', "sh"]
"""Start of a command whose stdout is closed."""

COMMANDS = (
    *("", "runs --json", "show", "watch", "mark", "explain", "configs", "trash --json"),
    *("--version", "--help", "trash --help", "doctor --json", "export latest --to csv -o -"),
    *("compare latest sequoia", "data check empty", "import log.csv --runs-dir other"),
    *("predict latest photos/cat", "predict latest photos --csv"),
)
"""Commands that print in different ways; the last two load PyTorch."""

QUIET_COMMANDS = (
    *("runs", "show", "watch", "--help", "doctor", "export latest --to html -o -", "test"),
)


@pytest.fixture(scope="module")
def work_dir(tmp_path_factory):
    """Return a working directory with a run that has a model, images and a log to import."""
    directory = tmp_path_factory.mktemp("work")
    make_photos(directory / "photos")
    RunForTests(
        directory / "runs", f"data.path={directory / 'photos'}", "train.epochs=1", preset="folder"
    ).train()
    golden_run(directory / "runs", "completed", "0101-0000-sequoia")
    (directory / "log.csv").write_text("loss\n1\n")
    for name in ("cat", "dog"):  # an error, so that no speed is measured with PyTorch
        (directory / "empty" / name).mkdir(parents=True)
        (directory / "empty" / name / "1.png").touch()
    return directory


def run(command, stdout, work_dir, start=()):
    """Run a command with another stdout; return its exit code and stderr."""
    result = subprocess.run(
        [*start, *CLI, *command.split()],
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        cwd=work_dir,
        env=environment(SHELL="/bin/bash"),
        timeout=250,
    )
    return result.returncode, result.stderr


EACH_IN_ITS_PROCESS = """
import gc, importlib, json, os, sys
from cnn_tui.main import main

for name in sys.argv[1].split():
    importlib.import_module(name)
gc.freeze()  # what is imported stays shared memory
results = []
for line in sys.argv[2:]:
    process = os.fork()
    if process == 0:
        os.dup2(os.open("errors", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
        sys.argv = ["cnn-tui", *line.split()]
        sys.exit(main())
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    with open("errors") as errors:
        results.append((code, errors.read()))
with open("results", "w") as file:
    json.dump(results, file)
"""
"""Program that imports modules and runs command lines, each in a copy of its process."""

COMMAND_LINE = "cnn_tui.cli.app"


def run_each(commands, stdout, work_dir, imports=COMMAND_LINE):
    """Run commands with another stdout; yield each with its exit code and stderr.

    Each process is a copy of one that has imported modules, which takes most of the time.
    """
    subprocess.run(
        [sys.executable, "-c", EACH_IN_ITS_PROCESS, imports, *commands],
        check=True,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        cwd=work_dir,
        env=environment(SHELL="/bin/bash"),
        timeout=250,
    )
    results = json.loads((work_dir / "results").read_text())
    for command, (code, errors) in zip(commands, results, strict=True):
        yield command, code, errors


@pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full")
def test_full_device_is_one_line_and_a_storage_error(work_dir):
    """`cnn-tui show > report.txt` on a full disk."""
    with FULL.open("w") as full:
        for command, code, errors in run_each(COMMANDS, full, work_dir):
            *others, last = errors.splitlines()
            text = "cnn-tui: standard output: cannot be written: No space left on device"
            assert last == text, command
            assert "Traceback" not in "".join(others), command
            assert code == 5, command


def test_closed_pipe_is_quiet(work_dir):
    """`cnn-tui show | head` ends like a program that SIGPIPE ends."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        for command, code, errors in run_each(QUIET_COMMANDS, writer, work_dir):
            assert code == 141, command
            assert "rror" not in errors, command
            assert "Traceback" not in errors, command
    finally:
        os.close(writer)


@pytest.mark.parametrize("command", ["runs", "show"])
def test_closed_stdout_is_one_line_and_a_storage_error(work_dir, command):
    code, errors = run(command, None, work_dir, CLOSED)
    assert errors == "cnn-tui: standard output: cannot be written: Bad file descriptor\n"
    assert code == 5


def test_closed_stderr_does_not_mix_messages_into_results(tmp_path):
    """If stderr is closed, Python itself prints its messages to stdout."""
    start = ["sh", "-c", 'exec "$@" 2>&-', "sh"]
    command = [*start, *CLI, "runs"]
    result = subprocess.run(
        command, check=True, capture_output=True, cwd=tmp_path, env=environment()
    )
    assert result.stdout == b""


@pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full")
def test_stderr_on_a_full_device_does_not_end_a_command(work_dir):
    with FULL.open("w") as full:
        command = [*CLI, "runs", "--filter", "name=zzz"]
        result = subprocess.run(command, check=False, stderr=full, cwd=work_dir, env=environment())
    assert result.returncode == 0


def test_files_do_not_get_the_descriptors_of_closed_streams(tmp_path):
    """A log that became descriptor 1 would receive all printed lines."""
    start = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh"]
    command = [*start, *CLI, "run", "digits", "--epochs", "1", *SET_SMALL]
    result = subprocess.run(command, check=False, cwd=tmp_path, env=environment())
    (trained,) = list_runs(tmp_path / "runs")
    summary = read_summary(trained)
    assert (result.returncode, summary.status, summary.damaged_lines) == (0, "done", 0)


@pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full")
def test_training_continues_without_its_output_and_reports_the_loss(tmp_path):
    options = ("", "--json", "--repeat 1 --sweep train.seed=3")
    commands = [
        f"run digits --epochs 1 --runs-dir {number} {text} {' '.join(SET_SMALL)}"
        for number, text in enumerate(options)
    ]
    with FULL.open("w") as full:
        results = run_each(commands, full, tmp_path, f"{COMMAND_LINE} torch")
        for number, (command, code, errors) in enumerate(results):
            last = errors.splitlines()[-1]
            text = "cnn-tui: standard output: could not be written: No space left on device"
            assert last == text, command
            assert code == 5, command
            (trained,) = list_runs(tmp_path / str(number))
            assert read_summary(trained).status == "done", command


def test_training_continues_after_a_closed_pipe(tmp_path):
    """`cnn-tui run | head` still trains the whole run."""
    reader, writer = os.pipe()
    os.close(reader)
    command = f"run digits --epochs 2 {' '.join(SET_SMALL)}"
    code, errors = run(command, writer, tmp_path)
    os.close(writer)
    assert (code, "Traceback" in errors) == (0, False)
    assert read_summary(list_runs(tmp_path / "runs")[0]).epochs_done == 2


@pytest.mark.skipif(not hasattr(fcntl, "F_SETPIPE_SZ"), reason="pipes have a fixed size")
def test_nonblocking_pipe_gets_everything(work_dir, run_cli):
    """A pipe that another program, such as node, has made non-blocking."""
    command = "export sequoia --to json -o -"
    expected = run_cli(*command.split(), cwd=work_dir).out
    assert len(expected) > 4 * PIPE_BYTES
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    os.set_blocking(writer, False)
    received = []

    def read():
        with os.fdopen(reader, encoding="utf-8") as pipe:
            received.append(pipe.read())

    thread = threading.Thread(target=read)
    thread.start()
    try:
        code, errors = run(command, writer, work_dir)
    finally:
        os.close(writer)
        thread.join()
    assert (code, errors) == (0, "")
    assert received == [expected]
