"""The line of the docs on two machines: two network namespaces with host names of their own."""

import os
import re
import shutil
import signal
import socket
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from cnn_engine.runlog import events
from cnn_engine.runs.commands import Command, send
from cnn_engine.runs.summary import read_state
from runs_for_tests import events_of, wait_until
from terminal import SET_SMALL, environment
from terminal_runs import epochs_done, only_run

pytestmark = pytest.mark.xdist_group("torchrun")

HAS_NAMESPACES = os.geteuid() == 0 and shutil.which("ip") is not None

DOCS = Path(__file__).parents[3] / "engine" / "docs" / "PROCESSES.md"
ADDRESSES = {"a": "10.77.0.1", "b": "10.77.0.2"}


def line_of_docs(runs_dir, **replaced):
    """Return the torchrun line for two machines, for a small endless run."""
    (line,) = re.findall(
        r"^torchrun --nnodes.*?--no-ui$", DOCS.read_text(), re.MULTILINE | re.DOTALL
    )
    changes = {
        "cifar10": "digits",
        "/shared/runs": str(runs_dir),
        "--nproc-per-node 4": "--nproc-per-node 1",
        "torchrun": "python -c 'import torch.distributed.run as run; run.main()'",
        "\\\n": "",
        **replaced,
    }
    for old, new in changes.items():
        assert old in line
        line = line.replace(old, new)
    settings = " ".join(f"'{word}'" for word in SET_SMALL)
    return f"{line} --epochs 100000 --set train.checkpoint_seconds=1 {settings}"


class Machines:
    """Two network namespaces that are connected."""

    def __init__(self, directory):
        self.directory = directory
        self.names = {host: f"cnn-{os.getpid()}-{host}" for host in ADDRESSES}
        self.started = []

    def set_up(self):
        """Create the namespaces, their link and their names of hosts."""
        hosts = "".join(f"{address} {host}\n" for host, address in ADDRESSES.items())
        for name in self.names.values():
            ip("netns", "add", name)
            (Path("/etc/netns") / name).mkdir(parents=True)
            (Path("/etc/netns") / name / "hosts").write_text(f"127.0.0.1 localhost\n{hosts}")
        (name, device), (other_name, other_device) = (
            (name, f"ve{os.getpid()}{host}") for host, name in self.names.items()
        )
        peer = ("peer", "name", other_device, "netns", other_name)
        ip("link", "add", device, "netns", name, "type", "veth", *peer)
        for (host, address), each in zip(ADDRESSES.items(), (device, other_device), strict=True):
            ip("-n", self.names[host], "addr", "add", f"{address}/24", "dev", each)
            ip("-n", self.names[host], "link", "set", "lo", "up")
            ip("-n", self.names[host], "link", "set", each, "up")

    def start(self, host, line):
        """Start a command on a machine."""
        script = f"hostname {host}; exec {line}"
        enter = ["ip", "netns", "exec", self.names[host], "unshare", "--uts"]
        process = subprocess.Popen(
            [*enter, "sh", "-c", script],
            cwd=self.directory,
            env=environment(OMP_NUM_THREADS="1"),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.started.append(process)
        return process

    def kill(self, host):
        """Kill all processes of a machine."""
        command = ["ip", "netns", "pids", self.names[host]]
        found = subprocess.run(command, capture_output=True, text=True, check=False)
        for pid in found.stdout.split():
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)

    def take_down(self):
        """Kill all processes, and remove the namespaces."""
        for host, name in self.names.items():
            self.kill(host)
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
            shutil.rmtree(Path("/etc/netns") / name, ignore_errors=True)
        for process in self.started:
            process.wait()


def ip(*arguments):
    """Run the program `ip`; skip the test if that is not allowed."""
    result = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if result.returncode:
        pytest.skip(f"ip {' '.join(arguments)}: {result.stderr.strip()}")


@pytest.fixture
def machines(tmp_path):
    """Return machines `a` and `b`, which are taken down after the test."""
    if not HAS_NAMESPACES:
        pytest.skip("network namespaces need root and the program ip")
    machines = Machines(tmp_path)
    try:
        machines.set_up()
        yield machines
    finally:
        machines.take_down()


def test_two_machines_train_one_run(tmp_path, machines):
    line = line_of_docs(tmp_path / "runs")
    agents = [machines.start(host, line) for host in ADDRESSES]
    wait_until(lambda: list((tmp_path / "runs").glob("*/events.jsonl")))
    run = only_run(tmp_path)
    wait_until(lambda: epochs_done(run) >= 2)
    (joined,) = events_of(run, events.ProcessesJoined)
    assert set(joined.hosts) == {"a", "b"}
    send(run.commands, Command(name="stop", by="cli"))
    assert [agent.wait(60) for agent in agents] == [0, 0]
    state, damaged = read_state(run)
    assert (state.status, state.processes, damaged) == ("stopped", 2, 0)


def test_run_goes_on_with_the_machine_that_is_left(tmp_path, machines):
    line = line_of_docs(
        tmp_path / "runs", **{"--nnodes 2": "--nnodes 1:2 --rdzv-conf last_call_timeout=1"}
    )
    first = machines.start("a", line)
    machines.start("b", line)
    wait_until(lambda: list((tmp_path / "runs").glob("*/events.jsonl")))
    run = only_run(tmp_path)
    wait_until(lambda: epochs_done(run) >= 2 and read_state(run)[0].processes == 2)
    machines.kill("b")
    wait_until(lambda: events_of(run, events.RunResumed), seconds=90)
    assert events_of(run, events.RunResumed)[-1].processes == 1
    done = epochs_done(run)
    wait_until(lambda: epochs_done(run) > done)
    send(run.commands, Command(name="stop", by="cli"))
    assert first.wait(60) == 0
    assert read_state(run)[0].status == "stopped"


def test_machine_without_the_directory_of_runs_is_refused(tmp_path, machines):
    """The second one has another disk there."""
    line = line_of_docs(tmp_path / "runs")
    (tmp_path / "runs").mkdir()
    first = machines.start("a", line)
    machines.start("b", f'unshare --mount sh -c "mount -t tmpfs none runs && exec {line}"')
    assert first.wait(90) == 1
    state, _ = read_state(only_run(tmp_path))
    assert state.status == "failed"
    assert state.finished.error.startswith("process 1 on b: ")
    assert state.finished.error.endswith("all machines must share the directory of runs")


@pytest.mark.skipif(HAS_NAMESPACES, reason="the other tests do the same on two machines")
def test_two_agents_on_one_machine_train_one_run(tmp_path):
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        endpoint = f"127.0.0.1:{found.getsockname()[1]}"
    line = line_of_docs(tmp_path / "runs", **{"a:29400": endpoint})
    agents = [
        subprocess.Popen(
            ["sh", "-c", f"exec {line}"],
            cwd=tmp_path,
            env=environment(OMP_NUM_THREADS="1"),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(2)
    ]
    try:
        wait_until(lambda: list((tmp_path / "runs").glob("*/events.jsonl")))
        run = only_run(tmp_path)
        wait_until(lambda: epochs_done(run) >= 2)
        send(run.commands, Command(name="stop", by="cli"))
        assert [agent.wait(60) for agent in agents] == [0, 0]
    finally:
        for agent in agents:
            agent.terminate()
            agent.wait(60)
    assert read_state(run)[0].processes == 2
