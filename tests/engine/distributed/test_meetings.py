"""Meetings of processes, simulated by threads; the interface that they exchange over."""

import os
import threading
from types import SimpleNamespace

import psutil
import pytest

from cnn_engine.distributed.interface import INTERFACE, choose_interface
from cnn_engine.distributed.meetings import MAX_DISTANCE, Meetings
from cnn_engine.distributed.place import VARIABLES, find_place
from cnn_engine.errors import ConfigError
from cnn_engine.runs.commands import Command, send
from cnn_engine.runs.directory import create_run
from cnn_engine.runs.recorder import Recorder
from cnn_engine.training.control import Control


class Group:
    """Processes in threads of this one."""

    def __init__(self, count):
        self.barrier = threading.Barrier(count)
        self.messages = [b""] * count

    def member(self, rank):
        """Return a process as meetings need it."""
        group = self

        class Member:
            is_first = rank == 0

            def gather(self, message):
                group.messages[rank] = message
                group.barrier.wait(10)
                messages = [*group.messages]
                group.barrier.wait(10)
                return messages

        return Member()

    def run(self, function):
        """Return what a function of rank and meetings returns in each thread."""
        results = [None] * len(self.messages)

        def work(rank):
            results[rank] = function(rank, Meetings(self.member(rank)))

        threads = [threading.Thread(target=work, args=(rank,)) for rank in range(len(results))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        return results


def test_commands_of_any_process_reach_all_at_the_same_call():
    def train(rank, meetings):
        seen, pending = [], {1: [{"name": "pause"}], 2: [{"name": "stop"}]}
        for step in range(200):
            commands = pending.pop(rank, []) if step == 20 else []
            if meetings.is_now():
                seen.append((step, [command["name"] for command in meetings.hold(commands)]))
        return seen

    first, *others = Group(3).run(train)
    assert all(each == first for each in others)
    assert first[0][0] == 0
    assert [name for _, names in first for name in names] in ([], ["pause", "stop"])


def test_conditions_are_those_of_the_first_process():
    """They may depend on time: elsewhere they are not even asked for."""

    def train(rank, meetings):
        asked, due = [], []

        def is_met():
            asked.append(rank)
            return len(asked) % 3 == 0

        for step in range(60):
            meetings.begin_phase()  # so that each call is a meeting
            assert meetings.is_now()
            meetings.hold([])
            if meetings.is_due("save", is_met):
                due.append(step)
        return due, len(asked), meetings.decide(float(rank + 5))

    (due, asked, decided), *others = Group(3).run(train)
    assert (len(due), asked, decided) == (19, 59, 5.0)
    assert others == [(due, 0, 5.0)] * 2


def test_distance_follows_the_time_of_a_call(monkeypatch):
    times = iter([10.0, 10.001, 10.002, 14.0])
    monkeypatch.setattr("cnn_engine.distributed.meetings.time.monotonic", lambda: next(times))
    meetings = Meetings(Group(1).member(0))
    distances = []
    for _ in range(4):
        while not meetings.is_now():
            pass
        meetings.hold([])
        distances.append(meetings._distance)
    assert distances[:2] == [1, 100]
    assert distances[2:] == [MAX_DISTANCE, 25]


def test_facts_of_all_processes_are_known():
    def train(rank, meetings):
        meetings.measure = lambda: {"memory": rank}
        meetings.hold([])
        return meetings.facts

    assert Group(2).run(train) == [[{"memory": 0}, {"memory": 1}]] * 2


@pytest.mark.parametrize(
    ("values", "place"),
    [
        ({}, None),
        (dict(zip(VARIABLES, "0101", strict=True)), (0, 1, 0, 1, "night")),
        (dict(zip(VARIABLES, "3412", strict=True)), (3, 4, 1, 2, "night")),
        (dict(zip(VARIABLES, ("x", "4", "1", "2"), strict=True)), None),
    ],
)
def test_place_is_that_of_torchrun(monkeypatch, values, place):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "night")
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    found = find_place()
    assert place == (
        found and (found.rank, found.count, found.local_rank, found.local_count, found.launch)
    )


def test_variables_of_other_launchers_are_no_place(monkeypatch):
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    for name, value in zip(VARIABLES, "3412", strict=True):
        monkeypatch.setenv(name, value)
    assert find_place() is None


def test_interface_is_that_of_the_route(monkeypatch):
    monkeypatch.setenv(INTERFACE, "")
    choose_interface("", is_one_machine=True)
    addresses = psutil.net_if_addrs()[os.environ[INTERFACE]]
    assert "127.0.0.1" in [address.address for address in addresses]


def test_interface_of_the_user_must_exist(monkeypatch):
    monkeypatch.setenv(INTERFACE, "wire7")
    with pytest.raises(ConfigError, match="GLOO_SOCKET_IFNAME: there is no network interface"):
        choose_interface("", is_one_machine=True)


@pytest.mark.parametrize("stop", ["stop-epoch", "stop-test"])
def test_commands_that_reach_one_process_while_it_loads_are_for_all(tmp_path, monkeypatch, stop):
    monkeypatch.setattr("cnn_engine.training.control.CHECK_SECONDS", 0.0)

    def load(rank, meetings):
        run = create_run(tmp_path / f"{rank}")
        with Recorder(run) as recorder:
            control = Control(recorder)
            trainer = SimpleNamespace(lr=0.1, epochs=20, epoch=0, save_seconds=None)
            for name, value in ((stop, None), ("lr", 0.5), ("pause", None), ("unpause", None)):
                if rank == 0:
                    send(run.commands, Command(name=name, by="cli", value=value))
            control.check()
            control.join(meetings)
            control.begin_training(trainer)
            return control.stops_after_epoch, control.stops_and_tests, trainer.lr

    expected = stop == "stop-epoch", stop == "stop-test", 0.5
    assert Group(2).run(load) == [expected, expected]
