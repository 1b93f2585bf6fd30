"""The import command: output, progress, signals, errors while following."""

import errno
import os
import signal
import subprocess
import sys
from io import BytesIO

import pytest

from cnn_engine.errors import DataError, StorageError, UserError
from cnn_engine.importers.importer import Importer
from cnn_engine.importers.open import open_source
from cnn_engine.runlog.events import StepsFinished
from cnn_engine.runs.directory import RunDirectory, create_run
from cnn_engine.runs.summary import read_state
from cnn_engine.storage.locks import is_locked
from cnn_engine.storage.tfevents import write_header, write_scalars
from cnn_tui.cli import import_
from cnn_tui.cli.import_ import ImportFollower
from imports_for_tests import KERAS, notices_of
from runs_for_tests import events_of, wait_until
from terminal import CLI, Terminal, environment, text_after_exit


@pytest.fixture
def command(run_cli, tmp_path):
    """Return a function that runs a command: exit code, stdout, stderr."""
    return lambda *words: run_cli(*words, cwd=tmp_path)


def test_import_command_prints_roles_and_run(tmp_path, command):
    (tmp_path / "log.csv").write_text(KERAS)
    code, out, error = command("import", "log.csv", "--name", "other")
    assert code == 0, error
    (run,) = (tmp_path / "runs").iterdir()
    assert out == f"{run.name}\n"
    assert "val_loss is used as validation loss" in error
    (row,) = command("runs")[1].splitlines()[1:]
    assert row.split()[1:4] == ["done", "log.csv", "2"]  # of an unknown number of epochs
    assert row.endswith("other")
    code, _, error = command("pause", run.name)
    assert (code, "cannot be controlled" in error) == (2, True)


def test_failed_import_leaves_no_run(tmp_path, command):
    (tmp_path / "log.csv").write_text("a,b\nx,y\n")
    code, out, error = command("import", "log.csv")
    assert (code, out) == (3, "")
    assert error.count("\n") == 1
    assert not list((tmp_path / "runs").iterdir())


def test_write_error_while_following_is_reported_at_end(tmp_path, monkeypatch):
    (tmp_path / "log.csv").write_text("loss\n3\n")
    source = open_source(tmp_path / "log.csv")
    run = create_run(tmp_path / "runs")
    importer = Importer(source, run)
    importer.poll()
    follower = ImportFollower(importer, run)
    follower.start()

    def refuse(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", refuse)
    with pytest.raises(StorageError, match="could not be written: No space left"):
        follower.stop()


def test_following_continues_until_signal(tmp_path):
    (tmp_path / "log.csv").write_text("loss\n3\n")
    process = subprocess.Popen(
        [*CLI, "import", "log.csv", "--follow"],
        cwd=tmp_path,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        run = RunDirectory(tmp_path / "runs" / process.stdout.readline().strip())
        with (tmp_path / "log.csv").open("a") as log:
            log.write("2\n")
        wait_until(lambda: len(events_of(run, StepsFinished)) == 2)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 143
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    assert read_state(run)[0].status == "stopped"


FAIL_WHILE_FOLLOWING = """
from cnn_engine.importers.table import Table
poll, polls = Table.poll, []
def fail(table, **options):
    polls.append(table)
    return 1 / 0 if len(polls) == 3 else poll(table, **options)
Table.poll = fail
from cnn_tui.main import main; main()
"""


def test_error_while_following_ends_the_run_as_failed(tmp_path):
    (tmp_path / "log.csv").write_text("loss\n3\n")
    result = subprocess.run(
        [sys.executable, "-c", FAIL_WHILE_FOLLOWING, "import", "log.csv", "--follow", "--no-ui"],
        check=False,
        cwd=tmp_path,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    run = RunDirectory(tmp_path / "runs" / result.stdout.strip())
    last = result.stderr.splitlines()[-1]
    assert result.returncode == 1
    assert last.startswith("cnn-tui: internal error: ZeroDivisionError: division by zero; see ")
    assert "Traceback" not in result.stderr
    assert "ZeroDivisionError" in run.console.read_text()
    state, _ = read_state(run)
    assert (state.status, state.finished.exit_code) == ("failed", 1)
    assert last == f"cnn-tui: {state.finished.error}"


@pytest.fixture
def follower(tmp_path, monkeypatch):
    """Return a function that starts to follow log.csv, and its run."""
    monkeypatch.setattr(import_, "POLL_SECONDS", 0.01)
    path = tmp_path / "log.csv"
    path.write_text("loss\n3\n")
    run = create_run(tmp_path / "runs")
    importer = Importer(open_source(path), run)
    importer.poll()
    started = ImportFollower(importer, run)
    started.start()
    yield started, run, path
    started.stopped.set()
    started.join()


def test_log_that_vanishes_while_followed_is_reported_and_followed_when_it_returns(follower):
    thread, run, path = follower
    path.unlink()
    wait_until(lambda: notices_of(run)[1:])
    assert notices_of(run)[1:] == [
        "log.csv cannot be read: No such file or directory; still trying"
    ]
    assert is_locked(run.events)
    path.write_text("loss\n3\n2\n")
    wait_until(lambda: len(events_of(run, StepsFinished)) == 2)
    thread.stop()
    assert read_state(run)[0].status == "stopped"


def test_log_that_is_gone_at_the_end_fails_and_keeps_the_values(follower):
    thread, run, path = follower
    path.unlink()
    with pytest.raises(DataError, match=r"log.csv: cannot be read: No such file"):
        thread.stop()
    state, _ = read_state(run)
    assert (state.status, state.finished.exit_code, len(state.curve)) == ("failed", 3, 1)
    assert not is_locked(run.events)


@pytest.mark.parametrize("error", [MemoryError("no memory"), StorageError("runs: gone")])
def test_any_error_while_following_is_recorded_and_raised(follower, monkeypatch, error):
    thread, run, _ = follower

    def fail(*_, **__):
        raise error

    monkeypatch.setattr(thread._importer, "poll", fail)
    thread.join(60)
    assert not thread.is_alive()
    state, _ = read_state(run)
    assert (state.status, is_locked(run.events)) == ("failed", False)
    with pytest.raises(UserError, match=str(error)) as raised:
        thread.stop()
    assert (raised.value.exit_code, str(raised.value)) == (
        state.finished.exit_code,
        state.finished.error,
    )


def test_interrupt_ends_a_long_import_at_once_and_leaves_no_run(tmp_path):
    """A large log shows its progress and can be interrupted (tensorboard#4354)."""
    record = BytesIO()
    write_scalars(record, 1.0, 1, {"loss": 1.0})
    path = tmp_path / "events.out.tfevents.1"
    with path.open("wb") as file:
        write_header(file, 1.0)
        file.write(record.getvalue() * 600_000)
    with Terminal("import", path.name, cwd=tmp_path, size=(80, 24)) as terminal:
        terminal.wait_for("reading events.out.tfevents.1, bytes")
        terminal.kill(signal.SIGINT)
        assert terminal.wait() == 130
        assert "Traceback" not in terminal.text
    path.unlink()
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("option", "code", "problem"),
    [
        ("val_loss", 2, "--role val_loss: use ROLE=SERIES with one of train_loss, val_loss"),
        ("loss=loss", 2, "--role loss=loss: use ROLE=SERIES"),
        ("lr=rate", 2, "--role lr: log.csv has no series 'rate', but accuracy, loss"),
    ],
)
def test_invalid_role_is_refused(tmp_path, command, option, code, problem):
    (tmp_path / "log.csv").write_text(KERAS)
    exit_code, _, error = command("import", "log.csv", "--role", option)
    assert exit_code == code
    assert problem in error
    assert not (tmp_path / "runs").exists() or not list((tmp_path / "runs").iterdir())


def test_role_option_chooses_a_series(tmp_path, command):
    (tmp_path / "log.csv").write_text(KERAS)
    code, out, error = command("import", "log.csv", "--role", "val_accuracy=accuracy")
    assert code == 0
    assert "accuracy is used as validation accuracy" in error
    state, _ = read_state(RunDirectory(tmp_path / "runs" / out.strip()))
    assert [epoch.val_accuracy for epoch in state.epochs] == [0.3, 0.5]


FAIL_IN_DASHBOARD = FAIL_WHILE_FOLLOWING.replace("== 3", "== 5")


@pytest.mark.parametrize(
    ("code", "shown", "exit_code", "status"),
    [
        ("from cnn_tui.main import main; main()", "training", 0, "stopped"),
        (FAIL_IN_DASHBOARD, "failed", 1, "failed"),
    ],
)
def test_dashboard_of_a_followed_log_ends_with_its_code(tmp_path, code, shown, exit_code, status):
    (tmp_path / "log.csv").write_text("loss\n3\n2\n")
    command = [sys.executable, "-c", code, "import", "log.csv", "--follow"]
    with Terminal(cwd=tmp_path, command=command) as terminal:
        terminal.wait_for(shown)
        terminal.press("q")
        assert terminal.wait() == exit_code
    (run,) = (tmp_path / "runs").iterdir()
    assert read_state(RunDirectory(run))[0].status == status
    if exit_code:
        assert "cnn-tui: internal error: ZeroDivisionError" in text_after_exit(terminal)


def test_error_that_cannot_be_recorded_is_an_alarm(follower, monkeypatch):
    thread, _, _ = follower

    def fail(*_, **__):
        raise StorageError("runs: no space left")

    assert thread.find_alarm() is None
    monkeypatch.setattr(thread._importer, "fail", fail)
    monkeypatch.setattr(thread._importer, "poll", fail)
    thread.join(60)
    assert "The import has ended: runs: no space left" in thread.find_alarm().text
