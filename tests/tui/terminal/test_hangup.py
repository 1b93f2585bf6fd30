"""Loss of the terminal, in real terminals and over SSH."""

import os
import select
import shlex
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import psutil
import pytest

from cnn_engine.runs.directory import list_runs
from cnn_engine.runs.summary import read_summary
from cnn_tui.terminal.tty import is_hung_up
from runs_for_tests import RunForTests, wait_until
from terminal import CLI, ENDLESS_RUN, SET_SMALL, Terminal, environment
from terminal_runs import end_soon, only_run, patched_program, training_process, wait_for_epochs

HANGUP = pytest.mark.parametrize("blocked", [(), (signal.SIGHUP,)], ids=["SIGHUP", "no SIGHUP"])


def ui_cpu_fraction(process, meanwhile):
    """Return the CPU time of the other threads as a fraction of the training thread's.

    It is measured while `meanwhile` runs.
    """
    before = {thread.id: thread.user_time + thread.system_time for thread in process.threads()}
    meanwhile()
    cpu_seconds = [
        thread.user_time + thread.system_time - before.get(thread.id, 0.0)
        for thread in process.threads()
    ]
    return (sum(cpu_seconds) - max(cpu_seconds)) / max(cpu_seconds)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ([], False),
        ([select.POLLNVAL], False),
        ([select.POLLHUP], True),
        ([select.POLLERR], True),
        ([select.POLLHUP | select.POLLNVAL], True),
    ],
)
def test_terminal_that_cannot_be_polled_is_not_hung_up(monkeypatch, answer, expected):
    """macOS answers POLLNVAL for a terminal."""

    class Poll:
        def register(self, *_):
            pass

        def poll(self, _):
            return [(0, event) for event in answer]

    monkeypatch.setattr(select, "poll", Poll)
    assert is_hung_up(0) == expected


@HANGUP
def test_run_survives_hangup_of_the_dashboard(tmp_path, blocked):
    with Terminal(*ENDLESS_RUN, cwd=tmp_path, blocked=blocked) as terminal:
        terminal.wait_for("● training")
        run = only_run(tmp_path)
        wait_for_epochs(run, 1)
        process = training_process(run)
        threads = process.num_threads()
        terminal.hang_up()
        # The two threads that read keys and write to the terminal end.
        wait_until(lambda: process.num_threads() == threads - 2)
        assert ui_cpu_fraction(process, lambda: wait_for_epochs(run, 20)) < 0.05
        end_soon(run)
        assert terminal.wait() == 0
    assert read_summary(run).status == "done"
    assert run.console.read_text() == ""


def test_run_survives_hangup_before_the_first_frame(tmp_path):
    program = patched_program(
        tmp_path,
        "import cnn_tui.dashboard.app, cnn_tui.terminal.tty, time",
        "cnn_tui.dashboard.app.Dashboard.run",
        "while not cnn_tui.terminal.tty.is_hung_up(0): time.sleep(0.01)",
        "args[0].call_after_refresh = lambda *_: None",  # called after the first frame
        "return before(*args, **options)",
        arguments=["run", "digits", "--epochs", "3", *SET_SMALL],
    )
    with Terminal(cwd=tmp_path, command=program) as terminal:
        wait_until(lambda: list_runs(tmp_path / "runs"))
        terminal.hang_up()
        assert terminal.wait() == 0
    assert read_summary(only_run(tmp_path)).status == "done"


def test_run_survives_hangup_of_printed_lines(tmp_path):
    with Terminal(*ENDLESS_RUN, "--no-ui", cwd=tmp_path) as terminal:
        terminal.wait_for("Epoch: 2/")
        run = only_run(tmp_path)
        terminal.hang_up()
        wait_for_epochs(run, 5)
        end_soon(run)
        assert terminal.wait() == 0
    assert read_summary(run).status == "done"
    printed = run.console.read_text()
    assert "Finished Training" in printed
    assert "Traceback" not in printed


@pytest.mark.parametrize(
    ("options", "blocked"), [((), ()), (("--no-ui",), (signal.SIGHUP,))], ids=["dashboard", "lines"]
)
def test_hangup_stops_the_run_with_on_hangup_stop(tmp_path, options, blocked):
    arguments = [*ENDLESS_RUN, "--on-hangup", "stop", *options]
    with Terminal(*arguments, cwd=tmp_path, blocked=blocked) as terminal:
        terminal.wait_for("raining")  # "Training" or "training"
        wait_until(lambda: list_runs(tmp_path / "runs"))
        run = only_run(tmp_path)
        wait_for_epochs(run, 1)
        terminal.hang_up()
        assert terminal.wait() == 129
    assert read_summary(run).status == "stopped"
    assert (run.path / "last.pt").exists()


@pytest.mark.parametrize(
    ("arguments", "blocked"),
    [
        (("watch",), ()),
        (("watch",), (signal.SIGHUP,)),
        (("watch", "--no-ui"), (signal.SIGHUP,)),
        ((), ()),
    ],
    ids=str,
)
def test_viewer_ends_on_hangup(tmp_path, arguments, blocked):
    run = RunForTests(tmp_path / "runs", "train.epochs=100000")
    run.engine.start()
    try:
        wait_until(lambda: run.live_state.epoch > 1)
        with Terminal(*arguments, cwd=tmp_path, blocked=blocked) as terminal:
            terminal.wait_for(run.directory.id)
            terminal.hang_up()
            assert terminal.wait() == 129
        assert run.engine.is_alive()
    finally:
        run.send("stop")
        run.engine.join()


PRIVILEGE_SEPARATION = Path("/run/sshd")
"""Empty directory that sshd needs when root starts it."""


@pytest.fixture
def sshd(tmp_path):
    """Start an SSH server, and yield the command that connects to it."""
    server = shutil.which("sshd", path=os.environ["PATH"] + ":/usr/sbin:/usr/local/sbin")
    if server is None or shutil.which("ssh") is None:
        pytest.skip("OpenSSH's sshd and ssh are not installed")
    for name in ("host", "user"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / name)]
        subprocess.run(command, check=True)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    config = (
        f"ListenAddress 127.0.0.1\nPort {port}\nHostKey {tmp_path}/host\nPidFile none\n"
        f"AuthorizedKeysFile {tmp_path}/user.pub\nStrictModes no\nUsePAM no\n"
        "PermitRootLogin yes\nPasswordAuthentication no\n"
    )
    (tmp_path / "config").write_text(config)
    needs_directory = os.getuid() == 0 and not PRIVILEGE_SEPARATION.exists()
    if needs_directory:
        PRIVILEGE_SEPARATION.mkdir()
    command = [server, "-D", "-f", tmp_path / "config", "-E", tmp_path / "sshd.log"]
    with subprocess.Popen(command) as process:
        yield [
            *("ssh", "-tt", "-p", str(port), "-i", str(tmp_path / "user"), "-F", "none"),
            *("-o", "StrictHostKeyChecking=no", "-o", f"UserKnownHostsFile={tmp_path}/known"),
            *("-o", "ConnectionAttempts=20", "-o", "LogLevel=ERROR", "127.0.0.1"),
        ]
        for child in psutil.Process(process.pid).children(recursive=True):
            child.kill()
        process.terminate()
    if needs_directory:
        PRIVILEGE_SEPARATION.rmdir()


def test_run_survives_loss_of_the_ssh_connection(tmp_path, sshd):
    variables = {
        key: value
        for key, value in environment().items()
        if key in ("PYTHONPATH", "OMP_NUM_THREADS", "XDG_CACHE_HOME", "TERM")
    }
    settings = " ".join(f"{key}={shlex.quote(value)}" for key, value in variables.items())
    remote = f"cd {shlex.quote(str(tmp_path))} && {settings} {shlex.join([*CLI, *ENDLESS_RUN])}"
    with Terminal(cwd=tmp_path, command=[*sshd, remote]) as terminal:
        terminal.wait_for("● training")
        run = only_run(tmp_path)
        wait_for_epochs(run, 1)
        process = training_process(run)
        supervisor = process.parent()
        terminal.kill(signal.SIGKILL)
        assert terminal.wait() == -signal.SIGKILL
    wait_for_epochs(run, 5)
    end_soon(run)
    psutil.wait_procs([process, supervisor])
    assert read_summary(run).status == "done"
    assert b"Traceback" not in run.console.read_bytes()
