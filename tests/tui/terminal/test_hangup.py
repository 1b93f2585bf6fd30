"""A run whose terminal, screen or process is lost, in real terminals over the real engine."""

import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from cnn_engine.runlog.events import EpochFinished
from cnn_engine.runlog.log import LogReader
from cnn_engine.runs.commands import Command, send
from cnn_engine.runs.directory import list_runs
from cnn_engine.runs.summary import read_state, read_summary
from cnn_tui.terminal.signals import StopSignals
from golden import DATA, golden_run
from runs_for_tests import RunForTests, wait_until
from terminal import (
    CLI,
    FOREVER,
    SET_SMALL,
    Terminal,
    after_the_screen,
    assert_restored,
    environment,
)

HANGUP = pytest.mark.parametrize("blocked", [(), (signal.SIGHUP,)], ids=["SIGHUP", "no SIGHUP"])


def the_run(where):
    """The only run there is."""
    (run,) = list_runs(where / "runs")
    return run


def epochs_done(run):
    return sum(isinstance(event, EpochFinished) for event in LogReader(run.events).poll())


def trained_here(run):
    """The process that trains a run."""
    return psutil.Process(read_state(run)[0].started.pid)


def let_end(run):
    """Let a run without an end come to one."""
    send(run.commands, Command(name="epochs", by="cli", value=epochs_done(run) + 10))


def wait_for_epochs(run, count):
    """Wait until that many more are done."""
    target = epochs_done(run) + count
    wait_until(lambda: epochs_done(run) >= target)


def idle_share(process, meanwhile):
    """Processor time of all threads but the one that trains, as a share of that one's."""
    before = {thread.id: thread.user_time + thread.system_time for thread in process.threads()}
    meanwhile()
    took = [
        thread.user_time + thread.system_time - before.get(thread.id, 0.0)
        for thread in process.threads()
    ]
    return (sum(took) - max(took)) / max(took)


# The terminal is lost.


@HANGUP
def test_a_run_outlives_its_dashboards_terminal(tmp_path, blocked):
    with Terminal(*FOREVER, cwd=tmp_path, blocked=blocked) as terminal:
        terminal.wait_for("● training")
        run = the_run(tmp_path)
        wait_for_epochs(run, 1)
        process = trained_here(run)
        threads = process.num_threads()
        terminal.hang_up()
        wait_until(lambda: process.num_threads() == threads - 2)  # reading keys, and writing
        assert idle_share(process, lambda: wait_for_epochs(run, 20)) < 0.05
        let_end(run)
        assert terminal.wait() == 0
    assert read_summary(run).status == "done"
    assert run.console.read_text() == ""


def test_a_run_outlives_a_terminal_that_is_lost_before_anything_is_shown(tmp_path):
    program = patched(
        tmp_path,
        "import cnn_tui.dashboard.app, cnn_tui.terminal.tty, time",
        "cnn_tui.dashboard.app.Dashboard.run",
        "while not cnn_tui.terminal.tty.is_hung_up(0): time.sleep(0.01)",
        "args[0].call_after_refresh = lambda *_: None",  # what is called once it is shown
        "return before(*args, **options)",
        arguments=["run", "digits", "--epochs", "3", *SET_SMALL],
    )
    with Terminal(cwd=tmp_path, command=program) as terminal:
        wait_until(lambda: list_runs(tmp_path / "runs"))
        terminal.hang_up()
        assert terminal.wait() == 0
    assert read_summary(the_run(tmp_path)).status == "done"


def test_a_run_outlives_the_terminal_it_is_printed_on(tmp_path):
    with Terminal(*FOREVER, "--no-ui", cwd=tmp_path) as terminal:
        terminal.wait_for("Epoch: 2/")
        run = the_run(tmp_path)
        terminal.hang_up()
        wait_for_epochs(run, 5)
        let_end(run)
        assert terminal.wait() == 0
    assert read_summary(run).status == "done"
    printed = run.console.read_text()
    assert "Finished Training" in printed
    assert "Traceback" not in printed


@pytest.mark.parametrize(
    ("shown", "blocked"), [((), ()), (("--no-ui",), (signal.SIGHUP,))], ids=["dashboard", "lines"]
)
def test_a_run_is_stopped_by_a_hangup_where_that_is_asked(tmp_path, shown, blocked):
    arguments = [*FOREVER, "--on-hangup", "stop", *shown]
    with Terminal(*arguments, cwd=tmp_path, blocked=blocked) as terminal:
        terminal.wait_for("raining")
        wait_until(lambda: list_runs(tmp_path / "runs"))
        run = the_run(tmp_path)
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
def test_a_viewer_ends_with_its_terminal(tmp_path, arguments, blocked):
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
        run.ask("stop")
        run.engine.join()


# The process is lost.


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_what_no_process_survives_leaves_a_usable_terminal(tmp_path, number):
    with Terminal(*FOREVER, cwd=tmp_path) as terminal:
        before = terminal.settings
        terminal.wait_for("● training")
        run = the_run(tmp_path)
        wait_for_epochs(run, 1)
        trained_here(run).send_signal(number)
        assert terminal.wait() == 128 + number
        assert_restored(terminal, before)
    left = after_the_screen(terminal)
    assert f"training was ended by signal {number:d}" in left
    assert f"cnn-tui resume {run.id}" in left
    assert left.count("\n") == 1
    assert read_summary(run).status == "interrupted"
    assert ("Fatal Python error" in run.console.read_text()) == (number == signal.SIGSEGV)


def test_a_viewer_that_is_killed_leaves_a_usable_terminal(tmp_path):
    golden_run(tmp_path / "runs", "completed")
    with Terminal("watch", cwd=tmp_path) as terminal:
        before = terminal.settings
        terminal.wait_for("Accuracy by class ─ test")
        the_child(terminal).kill()
        assert terminal.wait() == 137
        assert_restored(terminal, before)
    assert "the dashboard was ended by signal 9" in after_the_screen(terminal)
    assert "the runs are as they were" in after_the_screen(terminal)


def test_a_process_that_shows_nothing_yet_is_interrupted_without_a_word(tmp_path):
    program = patched(
        tmp_path, "import cnn_tui.cli.app, os", "cnn_tui.cli.app.main", "os.kill(0, 2)"
    )
    with Terminal(cwd=tmp_path, command=program) as terminal:
        assert terminal.wait() == 130
    assert terminal.raw == b""


def the_child(terminal):
    """The process under the supervisor."""
    (child,) = psutil.Process(terminal.pid).children()
    return child


def patched(where, imports, name, *body, arguments=()):
    """The program, with a function replaced; the original is `before` there."""
    lines = [
        imports,
        f"before = {name}",
        "def after(*args, **options):",
        *(f"    {line}" for line in body),
        f"{name} = after",
        "from cnn_tui.main import main",
        "main()",
    ]
    (where / "program.py").write_text("\n".join(lines) + "\n")
    return [sys.executable, "program.py", *arguments]


def test_a_run_that_may_only_be_read_says_so(tmp_path):
    run = RunForTests(tmp_path / "runs", "train.epochs=100000")
    run.engine.start()
    run.directory.path.chmod(0o555)
    try:
        with Terminal("watch", cwd=tmp_path, obeys_modes=True) as terminal:
            terminal.wait_for("● training")
            terminal.press("p")
            terminal.wait_for("commands.jsonl: cannot be written: Permission denied")
            terminal.press("q")
            assert terminal.wait() == 0
    finally:
        run.directory.path.chmod(0o755)
        run.ask("stop")
        run.engine.join()


# Signals.


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_viewer_is_ended_by_a_signal_and_the_run_goes_on(tmp_path, number):
    run = RunForTests(tmp_path / "runs", "train.epochs=100000")
    run.engine.start()
    try:
        with Terminal("watch", cwd=tmp_path) as terminal:
            before = terminal.settings
            terminal.wait_for("● training")
            terminal.kill(number)
            assert terminal.wait() == 128 + number
            assert_restored(terminal, before)
        assert run.engine.is_alive()
    finally:
        run.ask("stop")
        run.engine.join()


STUCK = ("import cnn_engine.session.engine, time", "cnn_engine.session.engine.Engine._train")
"""An engine that never looks at what it is asked."""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_leaves_at_once(tmp_path, number):
    program = patched(tmp_path, *STUCK, "while True: time.sleep(0.1)", arguments=FOREVER)
    with Terminal(cwd=tmp_path, command=program) as terminal:
        before = terminal.settings
        terminal.wait_for("Epochs")
        run = the_run(tmp_path)
        terminal.kill(number)
        terminal.wait_for("stopping")
        terminal.read(0.5)  # closer ones are taken for one
        terminal.kill(number)
        assert terminal.wait() == 128 + number
        assert_restored(terminal, before)
    assert f"quit immediately. Resume with: cnn-tui resume {run.id}" in (after_the_screen(terminal))


def test_a_second_signal_much_later_is_a_first_one_again(monkeypatch):
    now, heard = [100.0], []
    monkeypatch.setattr("cnn_tui.terminal.signals.time.monotonic", lambda: now[0])
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    StopSignals(lambda _: heard.append("ask"), lambda _: heard.append("leave"))
    try:
        for seconds in (0.0, 0.1, 10.1, 0.2, 5.0):
            now[0] += seconds
            os.kill(os.getpid(), signal.SIGTERM)
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
    assert heard == ["ask", "ask", "leave"]


MOMENTS = {
    "torch": "stage='torch'",
    "data": "stage='data'",
    "first step": "EpochStarted(",
    "evaluation": "ValidationProgressed(",
}


@pytest.mark.parametrize("event", MOMENTS.values(), ids=MOMENTS)
def test_a_run_is_interrupted_wherever_it_is(tmp_path, event):
    program = patched(
        tmp_path,
        "import cnn_engine.runs.recorder, os\nsent = []",
        "cnn_engine.runs.recorder.Recorder.record",
        "before(*args)",
        f"if {event!r} in repr(args[1]) and not sent:",
        "    sent.append(os.kill(os.getpid(), 15))",
        arguments=FOREVER,
    )
    with Terminal(cwd=tmp_path, command=program) as terminal:
        before = terminal.settings
        assert terminal.wait() == 143
        assert_restored(terminal, before)
    run = the_run(tmp_path)
    assert read_summary(run).status == "stopped"
    assert b"Traceback" not in terminal.raw + run.console.read_bytes()


def test_a_run_is_interrupted_before_anything_is_shown(tmp_path):
    program = patched(
        tmp_path,
        "import cnn_tui.dashboard.app, os",
        "cnn_tui.dashboard.app.Dashboard.run",
        "os.kill(os.getpid(), 15)",
        "before(*args, **options)",
        arguments=FOREVER,
    )
    with Terminal(cwd=tmp_path, command=program) as terminal:
        assert terminal.wait() == 143
    assert read_summary(the_run(tmp_path)).status == "stopped"


def test_a_key_that_is_held_down_is_obeyed_each_time(tmp_path):
    wanted = ["pause", "unpause"] * 50 + ["checkpoint"] * 100
    with Terminal(*FOREVER, cwd=tmp_path) as terminal:
        terminal.wait_for("● training")
        run = the_run(tmp_path)
        terminal.press(100 * "p" + 100 * "c")
        wait_until(lambda: len(read_state(run)[0].commands) == len(wanted))
        terminal.press(100 * "r" + "\x1b")  # one dialog, with a text that is no rate
        terminal.wait_for(lambda text: "rrr" not in text)
        terminal.kill(signal.SIGTERM)
        assert terminal.wait() == 143
    assert [command.command for command in read_state(run)[0].commands] == [*wanted, "stop"]


def test_a_screen_is_right_again_after_any_stop(tmp_path):
    golden_run(tmp_path / "runs", "completed")
    whole = (DATA / "screens" / "completed-120x36.txt").read_text(encoding="utf-8").rstrip("\n")
    with Terminal("watch", cwd=tmp_path) as terminal:
        before = terminal.settings
        terminal.wait_for(lambda text: text == whole)
        terminal.press("\x1b[?2048;1$y")  # a terminal that tells its size, and the mouse in pixels
        child = the_child(terminal)
        for number in (signal.SIGSTOP, signal.SIGTSTP):
            child.send_signal(number)
            terminal.wait_for(lambda _: child.status() == psutil.STATUS_STOPPED)
            if number == signal.SIGTSTP:
                assert terminal.settings[:4] == before[:4]
            terminal.show("\x1b[2Ja shell was here")
            child.send_signal(signal.SIGCONT)
            terminal.wait_for(lambda text: text == whole)
        terminal.press("q")
        assert terminal.wait() == 0
        assert_restored(terminal, before)
    assert terminal.raw.rindex(b"\x1b[?1016l") > terminal.raw.rindex(b"\x1b[?1016h")


# The screen is lost.


def test_a_run_outlives_a_dashboard_that_fails(tmp_path):
    program = patched(
        tmp_path,
        "from cnn_tui.dashboard.widgets.epoch_table import EpochTable",
        "EpochTable.draw",
        "if args[1].epoch > 2: raise ValueError('no such colour')",
        "return before(*args)",
        arguments=["run", "digits", "--epochs", "20", *SET_SMALL],
    )
    with Terminal(cwd=tmp_path, command=program) as terminal:
        before = terminal.settings
        assert terminal.wait() == 0
        assert_restored(terminal, before)
    run = the_run(tmp_path)
    left = after_the_screen(terminal).lstrip("\a")
    where = run.console.relative_to(tmp_path)
    assert left.startswith(f"cnn-tui: the dashboard failed, see {where}")
    assert "Epoch: 20/20" in left
    assert "Traceback" not in left
    assert "ValueError: no such colour" in run.console.read_text()
    assert read_summary(run).status == "done"


def test_a_viewer_that_fails_says_so(tmp_path):
    golden_run(tmp_path / "runs", "completed")
    program = patched(
        tmp_path,
        "from cnn_tui.dashboard.widgets.epoch_table import EpochTable",
        "EpochTable.draw",
        "raise ValueError('no such colour')",
        arguments=["watch"],
    )
    with Terminal(cwd=tmp_path, command=program) as terminal:
        assert terminal.wait() == 1
    assert "no such colour" in after_the_screen(terminal)


def test_an_engine_that_fails_is_told_on_the_screen(tmp_path):
    program = patched(
        tmp_path,
        "import cnn_engine.session.engine",
        "cnn_engine.session.engine.Engine._train",
        "secret = 271828; 1 / 0",
        arguments=FOREVER,
    )
    with Terminal(cwd=tmp_path, command=program) as terminal:
        terminal.wait_for("internal error: ZeroDivisionError")
        terminal.press("q")
        assert terminal.wait() == 1
    captured = the_run(tmp_path).console.read_text()
    assert "Traceback" in captured
    assert captured.count("271828") == 1  # in the line of code, and not as a variable's value


def test_nothing_that_the_engine_prints_is_on_the_screen(tmp_path):
    program = patched(
        tmp_path,
        "import ctypes, logging, os, subprocess, sys, warnings, cnn_engine.session.engine",
        "cnn_engine.session.engine.Engine._train",
        "print('a print'); print('an error', file=sys.stderr)",
        "warnings.warn('a warning'); logging.getLogger('library').error('a log line')",
        "os.write(1, b'written to 1\\n'); os.write(2, b'written to 2\\n')",
        "ctypes.CDLL(None).dprintf(1, b'from C\\n')",
        "subprocess.run(['sh', '-c', 'echo of a process; echo its error >&2'])",
        "before(*args)",
        arguments=["run", "digits", "--epochs", "2", *SET_SMALL],
    )
    with Terminal(cwd=tmp_path, command=program) as terminal:
        terminal.wait_for("Done after")
        terminal.press("q")
        assert terminal.wait() == 0
    captured = the_run(tmp_path).console.read_text()
    for text in (
        "a print",
        "an error",
        "a warning",
        "a log line",
        "written to 1",
        "written to 2",
        "from C",
        "of a process",
        "its error",
    ):
        assert text in captured
        assert text.encode() not in terminal.raw


# Over SSH.


PRIVILEGE_SEPARATION = Path("/run/sshd")
"""An empty directory that sshd insists on when it is root."""


@pytest.fixture
def sshd(tmp_path):
    """A server of our own, as an ordinary process; how to connect to it."""
    server = shutil.which("sshd", path=os.environ["PATH"] + ":/usr/sbin:/usr/local/sbin")
    if server is None or shutil.which("ssh") is None:
        pytest.skip("OpenSSH's sshd and ssh are not installed")
    for name in ("host", "user"):
        make_key = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / name)]
        subprocess.run(make_key, check=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = (
        f"ListenAddress 127.0.0.1\nPort {port}\nHostKey {tmp_path}/host\nPidFile none\n"
        f"AuthorizedKeysFile {tmp_path}/user.pub\nStrictModes no\nUsePAM no\n"
        "PermitRootLogin yes\nPasswordAuthentication no\n"
    )
    (tmp_path / "config").write_text(config)
    made_by_us = os.getuid() == 0 and not PRIVILEGE_SEPARATION.exists()
    if made_by_us:
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
    if made_by_us:
        PRIVILEGE_SEPARATION.rmdir()


def test_a_run_outlives_its_ssh_connection(tmp_path, sshd):
    variables = {
        key: value
        for key, value in environment().items()
        if key in ("PYTHONPATH", "OMP_NUM_THREADS", "XDG_CACHE_HOME", "TERM")
    }
    settings = " ".join(f"{key}={shlex.quote(value)}" for key, value in variables.items())
    remote = f"cd {shlex.quote(str(tmp_path))} && {settings} {shlex.join([*CLI, *FOREVER])}"
    with Terminal(cwd=tmp_path, command=[*sshd, remote]) as terminal:
        terminal.wait_for("● training")
        run = the_run(tmp_path)
        wait_for_epochs(run, 1)
        process = trained_here(run)
        supervisor = process.parent()
        terminal.kill(signal.SIGKILL)
        assert terminal.wait() == -signal.SIGKILL
    wait_for_epochs(run, 5)
    let_end(run)
    psutil.wait_procs([process, supervisor])
    assert read_summary(run).status == "done"
    assert b"Traceback" not in run.console.read_bytes()
