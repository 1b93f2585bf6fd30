"""A GPU is measured as far as it can be, and never at the cost of training."""

import pytest
import torch

from cnn_engine.system.gpu import make_gpu_meter


def refuse(_):
    raise ModuleNotFoundError("pynvml does not seem to be installed or it can't be imported.")


@pytest.mark.parametrize(("utilization", "busy"), [(lambda _: 75, 0.75), (refuse, None)])
def test_its_memory_is_told_and_how_busy_it_is_where_that_is_known(monkeypatch, utilization, busy):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (30, 100))
    monkeypatch.setattr(torch.cuda, "utilization", utilization)
    assert make_gpu_meter(torch.device("cuda"))() == (busy, 70, 100)


def test_a_processor_is_no_gpu():
    assert make_gpu_meter(torch.device("cpu"))() is None
