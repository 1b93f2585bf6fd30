"""Measurements of a GPU, with and without nvidia-ml-py."""

import pytest
import torch

from cnn_engine.system.gpu import make_gpu_meter


def refuse(_):
    raise ModuleNotFoundError("pynvml does not seem to be installed or it can't be imported.")


@pytest.mark.parametrize(("utilization", "busy"), [(lambda _: 75, 0.75), (refuse, None)])
def test_gpu_memory_and_utilization_are_measured(monkeypatch, utilization, busy):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (30, 100))
    monkeypatch.setattr(torch.cuda, "utilization", utilization)
    assert make_gpu_meter(torch.device("cuda"))() == (busy, 70, 100)


def test_cpu_has_no_gpu_measurement():
    assert make_gpu_meter(torch.device("cpu"))() is None
