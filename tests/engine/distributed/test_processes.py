"""Several processes train one model together, and equally."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cnn_engine.checkpoints import checkpoint
from cnn_engine.distributed.processes import ALONE, Processes
from distributed_training import (
    PLAIN,
    evaluate_and_draw,
    gradients,
    train,
    train_run,
    train_with_drift,
)
from interrupted_runs import tensors_to_bytes
from process_groups import run_in_processes

pytestmark = pytest.mark.xdist_group("process groups")  # one process is copied for all of them


@given(st.integers(0, 200), st.integers(1, 9))
def test_shares_are_contiguous_and_of_equal_size(images, count):
    shares = [Processes(rank=rank, count=count).share(images) for rank in range(count)]
    assert [image for share in shares for image in range(images)[share]] == [*range(images)]
    sizes = [share.stop - share.start for share in shares]
    assert max(sizes) - min(sizes) <= 1
    assert max(sizes) == Processes(count=count).largest_share(images)


@pytest.mark.parametrize("count", [2, 3])
def test_losses_of_several_processes_are_those_of_one(tmp_path, count):
    """With class weights, and a last batch that has fewer images than there are processes."""
    size = ("train.batch_size=50",)
    alone = train(ALONE, tmp_path, *PLAIN, *size)
    assert alone["last batch"] == 2
    results = run_in_processes(count, tmp_path, train, tmp_path, *PLAIN, *size)
    for result in results:
        assert result["losses"] == pytest.approx(alone["losses"], abs=1e-4)
        assert result["accuracy"] == pytest.approx(alone["accuracy"], abs=0.005)
        assert torch.equal(result["weights"], results[0]["weights"])
        assert result["evaluation"] == results[0]["evaluation"]
        assert torch.equal(result["margins"], results[0]["margins"])
        difference = result["margins"] - alone["margins"]
        assert difference[:, 0].abs().max() <= 1  # of rounding
        assert (difference[:, 1] == 0).float().mean() > 0.99
        assert result["margins"][:, 0].min() > 0


def test_evaluation_of_several_processes_is_that_of_one(tmp_path):
    """To the bit; batch norm has the same statistics in all, and dropout draws differ."""
    first, second = run_in_processes(2, tmp_path, evaluate_and_draw, tmp_path)
    assert first["together"] == second["together"] == first["alone"] == second["alone"]
    assert torch.equal(first["statistics"], second["statistics"])
    assert first["calls"] == second["calls"] == 3
    assert first["drawn"] != second["drawn"]


def test_gradient_is_that_of_distributed_data_parallel(tmp_path):
    for found, expected in run_in_processes(2, tmp_path, gradients, tmp_path):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-7)


def test_run_resumes_exactly_with_as_many_processes(tmp_path):
    """With another number, the difference is told."""
    whole, halves, other = (tmp_path / name for name in ("whole", "halves", "other"))
    for directory in (whole, halves, other):
        directory.mkdir()
    run_in_processes(2, whole, train_run, whole, 4, "")
    run_in_processes(2, halves, train_run, halves, 2, "")
    file = str(halves / "after-2.pt")
    assert run_in_processes(2, halves, train_run, halves, 4, file) == ["", ""]
    expected, found = (
        tensors_to_bytes(checkpoint.load(directory / "after-4.pt", torch.device("cpu")))
        for directory in (whole, halves)
    )
    for key in ("model", "average", "optimizer", "losses", "correct", "margins", "epoch", "step"):
        assert found[key] == expected[key]
    assert train_run(ALONE, other, 3, file) == "processes: 1, before 2"


def test_weights_that_differ_are_replaced_and_told(tmp_path):
    (notices, first), (_, second) = run_in_processes(2, tmp_path, train_with_drift, tmp_path)
    text = "Weights of process 1 differed; those of process 0 are used from now on"
    assert notices == [f"Epoch 2: {text}"]
    assert torch.equal(first, second)
