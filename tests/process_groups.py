"""Functions of a test that run in several processes, as those of one run do."""

import multiprocessing
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from cnn_engine.distributed.processes import Processes

TIMEOUT_SECONDS = 120


def run_in_processes(
    count: int, directory: Path, function: Callable[..., Any], *arguments: object
) -> list[Any]:
    """Return what `function` returns in each of some processes with a group.

    Args:
        count: Number of processes.
        directory: Directory for files of the group and of the results.
        function: Function of a module; it takes a `Processes` and the arguments.
        arguments: Further arguments.
    """
    context = multiprocessing.get_context("forkserver")  # its processes are copies of one
    context.set_forkserver_preload(["torch.distributed", "distributed_training"])
    started = [
        context.Process(target=_work, args=(rank, count, directory, function, arguments))
        for rank in range(count)
    ]
    for process in started:
        process.start()
    for process in started:
        process.join(TIMEOUT_SECONDS)
        process.kill()
        process.join()
    assert [process.exitcode for process in started] == [0] * count
    return [pickle.loads(_result(directory, rank).read_bytes()) for rank in range(count)]


def _work(
    rank: int,
    count: int,
    directory: Path,
    function: Callable[..., Any],
    arguments: tuple[object, ...],
) -> None:
    os.environ["TORCH_DISTRIBUTED_DEBUG"] = "DETAIL"  # compares the calls of all processes
    torch.set_num_threads(1)
    store = dist.FileStore(str(directory / "store"), count)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=count)
    result = function(Processes(rank=rank, count=count), *arguments)
    _result(directory, rank).write_bytes(pickle.dumps(result))
    dist.destroy_process_group()


def _result(directory: Path, rank: int) -> Path:
    return directory / f"result-{rank}"
