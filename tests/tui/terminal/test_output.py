"""Output that cannot be written: a full disk, a closed stream, a reader that ends early."""

import fcntl
import os
import subprocess
import threading
from pathlib import Path

import pytest

from cnn_engine.runs.directory import list_runs
from cnn_engine.runs.summary import read_summary
from golden import golden_run
from photos_for_tests import make_photos
from runs_for_tests import RunForTests
from terminal import CLI, SET_SMALL, cnn_tui, environment

FULL = Path("/dev/full")
PIPE_BYTES = 4096
CLOSED = ["sh", "-c", 'exec "$@" >&-', "sh"]
"""Start of a command whose stdout is closed."""

COMMANDS = (
    *("", "runs --json", "show", "watch", "mark", "explain", "configs", "trash --json"),
    *("--version", "--help", "trash --help", "doctor --json", "export latest --to csv -o -"),
    *("compare latest oak", "data check empty", "import log.csv --runs-dir other"),
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
    golden_run(directory / "runs", "completed", "0101-0000-oak")
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


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full")
def test_full_device_is_one_line_and_a_storage_error(work_dir, command):
    """`cnn-tui show > report.txt` on a full disk."""
    with FULL.open("w") as full:
        code, errors = run(command, full, work_dir)
    *others, last = errors.splitlines()
    assert last == "cnn-tui: standard output: cannot be written: No space left on device"
    assert "Traceback" not in "".join(others)
    assert code == 5


@pytest.mark.parametrize("command", QUIET_COMMANDS)
def test_closed_pipe_is_quiet(work_dir, command):
    """`cnn-tui show | head` ends like a program that SIGPIPE ends."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        code, errors = run(command, writer, work_dir)
    finally:
        os.close(writer)
    assert code == 141
    assert "rror" not in errors
    assert "Traceback" not in errors


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
@pytest.mark.parametrize("options", ["", "--json", "--repeat 1 --sweep train.seed=3"])
def test_training_continues_without_its_output_and_reports_the_loss(tmp_path, options):
    command = f"run digits --epochs 1 {options} {' '.join(SET_SMALL)}"
    with FULL.open("w") as full:
        code, errors = run(command, full, tmp_path)
    last = errors.splitlines()[-1]
    assert last == "cnn-tui: standard output: could not be written: No space left on device"
    assert code == 5
    assert read_summary(list_runs(tmp_path / "runs")[0]).status == "done"


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
def test_nonblocking_pipe_gets_everything(work_dir):
    """A pipe that another program, such as node, has made non-blocking."""
    command = "export oak --to json -o -"
    expected = cnn_tui(*command.split(), cwd=work_dir).stdout
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
