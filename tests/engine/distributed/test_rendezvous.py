"""Start of a run in several processes, simulated by threads that share a store."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch.distributed import HashStore

from cnn_engine.distributed.errors import EndedElsewhereError, ProcessLostError
from cnn_engine.distributed.place import Place
from cnn_engine.distributed.rendezvous import Rendezvous
from cnn_engine.errors import DataError, TrainingError
from cnn_engine.training.control import StopRequested


def rendezvous_of_two(store, check=lambda: None):
    """Return two processes that share a store."""
    places = [
        Place(rank=rank, count=2, local_rank=rank, local_count=2, restart=0, launch="night")
        for rank in range(2)
    ]
    return [Rendezvous(place, check, store) for place in places]


def join_both(processes, fingerprints):
    """Let both processes join; return their errors."""
    with ThreadPoolExecutor(2) as pool:
        joining = [
            pool.submit(process.join, fingerprint, torch.device("cpu"), print)
            for process, fingerprint in zip(processes, fingerprints, strict=True)
        ]
        return [future.exception() for future in joining]


def test_other_images_are_refused_in_all_processes():
    errors = join_both(rendezvous_of_two(HashStore()), ["one", "other"])
    assert [type(error) for error in errors] == [DataError, DataError]
    assert str(errors[0]).startswith("process 1 on ")
    assert "has other images than" in str(errors[0])


def test_other_versions_are_refused_in_all_processes(monkeypatch):
    first, second = rendezvous_of_two(HashStore())
    with ThreadPoolExecutor(1) as pool, monkeypatch.context() as patches:
        joining = pool.submit(first.join, "images", torch.device("cpu"), print)
        first._wait("ready/0")
        patches.setattr("torch.__version__", "1.0")
        with pytest.raises(TrainingError, match=r"PyTorch 2.*, and .* has 1.0: install the same"):
            second.join("images", torch.device("cpu"), print)
        assert isinstance(joining.exception(), TrainingError)


def test_plan_of_the_first_process_reaches_the_others():
    first, second = rendezvous_of_two(HashStore())
    first.announce({"config": {"seed": 3}})
    assert second.wait_for_plan() == {"config": {"seed": 3}}


def test_processes_that_wait_end_with_the_first_one():
    first, second = rendezvous_of_two(HashStore())
    first.end()
    with pytest.raises(EndedElsewhereError):
        second.wait_for_plan()


def test_process_that_waits_can_be_stopped():
    def check():
        raise StopRequested("test")

    _, second = rendezvous_of_two(HashStore(), check)
    with pytest.raises(StopRequested):
        second.wait_for_plan()


def test_reason_of_another_process_is_found(monkeypatch):
    first, second = rendezvous_of_two(HashStore())
    second.tell_reason("out of memory", 4)
    text, code = first.find_reason()
    assert (text.startswith("process 1 on "), text.endswith(": out of memory"), code) == (
        True,
        True,
        4,
    )
    monkeypatch.setattr("cnn_engine.distributed.rendezvous.REASON_SECONDS", 0.0)
    assert rendezvous_of_two(HashStore())[0].find_reason() is None


def test_process_is_not_left_alone_before_the_group_exists():
    """The first one was stopped after the others were ready."""
    first, second = rendezvous_of_two(HashStore())
    with ThreadPoolExecutor(1) as pool:
        joining = pool.submit(second.join, "images", torch.device("cpu"), print)
        first._wait("ready/1")
        facts = {"host": "a", "pid": 1, "device": "cpu", "torch": torch.__version__}
        first._set("ready/0", facts | {"fingerprint": "images"})
        first.end()
        assert isinstance(joining.exception(30), EndedElsewhereError)


def test_error_of_a_process_before_the_group_exists_ends_the_first_one():
    """As on a machine without the images."""
    first, second = rendezvous_of_two(HashStore())
    second.tell_reason("data.path: does not exist", 3)
    with pytest.raises(ProcessLostError, match=r"process 1 on .*: data\.path: does not exist"):
        first.join("images", torch.device("cpu"), print)
    assert first.find_reason()[1] == 3
