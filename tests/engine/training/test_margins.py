"""The record of margins of each training image in each epoch."""

import pytest
import torch

from cnn_engine.data.dataset import load_dataset
from cnn_engine.data.loader import epoch_order
from cnn_engine.distributed.processes import Processes
from cnn_engine.results.margins import MARGINS, MARGINS_FILE, read_margins
from cnn_engine.training.margins import EpochMargins
from interrupted_runs import (
    EPOCH_CHECKS,
    STEPS,
    Killed,
    assert_same,
    load_saved,
    results,
)
from runs_for_tests import RunForTests

CPU = torch.device("cpu")
SIZES = [3, 3, 2]


def keep(
    margins: EpochMargins, logits: torch.Tensor, first: int = 0, end: int = len(SIZES)
) -> None:
    """Run some steps of an epoch, with logits [images, classes] in the epoch's order."""
    margins.begin(first)
    for step, batch in enumerate(logits.split(SIZES)[first:end], first):
        margins.add(batch, torch.tensor([step]))
        margins.launched(step + 1)


def make(targets: torch.Tensor, classes: int) -> EpochMargins:
    padded = [torch.nn.functional.pad(part, (0, 3 - len(part))) for part in targets.split(SIZES)]
    table = torch.stack(padded)
    return EpochMargins(SIZES, classes, lambda first, end: table[first:end], CPU)


def decoded(rows: torch.Tensor) -> list[float]:
    return [MARGINS[byte] for byte in rows[:, 0].tolist()]


@pytest.mark.parametrize("slots", [1, 2, 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_margins_are_those_of_the_logits(monkeypatch, slots, dtype):
    monkeypatch.setattr("cnn_engine.training.margins.LOGITS_BYTES", slots * 4 * 3 * 5)
    logits = (8 * torch.randn(8, 5, generator=torch.Generator().manual_seed(0))).to(dtype)
    targets = torch.arange(8) % 5
    margins = make(targets, 5)
    keep(margins, logits)
    rows = margins.rows(3)
    others = logits.float()
    given = others.gather(1, targets[:, None]).squeeze(1)
    others = others.scatter(1, targets[:, None], -torch.inf)
    assert decoded(rows) == pytest.approx((given - others.amax(1)).tolist(), rel=0.04, abs=0.04)
    assert rows[:, 1].tolist() == others.argmax(dim=1).tolist()


def test_extreme_margins_are_clipped_and_nan_is_not_recorded():
    logits = torch.tensor([[9e9, 0], [-9e9, 0], [torch.inf, torch.inf], [0, torch.nan]] * 2)
    margins = make(torch.zeros(8, dtype=torch.int64), 2)
    keep(margins, logits)
    assert margins.rows(3)[:4, 0].tolist() == [255, 1, 0, 0]


def test_many_classes_take_three_bytes():
    logits = torch.zeros(8, 1000)
    logits[:, 700] = 1
    margins = make(torch.arange(8), 1000)
    keep(margins, logits)
    low, high = margins.rows(3)[:, 1:].T.tolist()
    assert [a + 256 * b for a, b in zip(low, high, strict=True)] == [700] * 8


def test_restored_margins_are_completed():
    logits = torch.randn(8, 4, generator=torch.Generator().manual_seed(0))
    targets = torch.arange(8) % 4
    whole, first, second = (make(targets, 4) for _ in range(3))
    keep(whole, logits)
    keep(first, logits, end=2)
    second.restore(first.rows(2))
    assert torch.equal(second.rows(2), first.rows(2))  # also before a step
    keep(second, logits, first=2)
    assert torch.equal(second.rows(3), whole.rows(3))
    whole.reset()
    assert not whole.rows(3).any()


def record(run):
    return (run.directory.path / MARGINS_FILE).read_bytes()


@pytest.mark.usefixtures("small_validation_batches")
@pytest.mark.parametrize("check", [7, STEPS, STEPS + 2, EPOCH_CHECKS + 5])
@pytest.mark.parametrize("error", [None, Killed()])
def test_resumed_run_has_the_same_record(interrupted_run, uninterrupted_run, check, error):
    run = interrupted_run(check, error=error)
    run.resume()
    assert_same(run, uninterrupted_run())
    assert record(run) == record(uninterrupted_run())


def test_record_does_not_change_training(uninterrupted_run):
    run, without = uninterrupted_run(), uninterrupted_run("train.record_margins=false")
    assert not (without.directory.path / MARGINS_FILE).exists()
    assert results(run) == results(without)
    for file in ("best.pt", "last.pt"):
        contents = load_saved(run, file), load_saved(without, file)
        for content in contents:
            content.pop("config")
            content.pop("margins", None)
        assert contents[0] == contents[1]


def test_record_is_in_the_order_of_the_training_images(tmp_path, monkeypatch):
    """A model that knows each image's position tells where its margin is recorded."""
    monkeypatch.setattr("cnn_engine.training.margins.EpochMargins.add", lambda *_: None)
    run = RunForTests(tmp_path, "train.epochs=2")
    rows = (torch.arange(1151)[:, None] % 251 + 1) * torch.tensor([1, 0])
    monkeypatch.setattr(EpochMargins, "rows", lambda *_: rows.byte())
    run.train()
    assert run.live_state.status == "done"
    config = run.engine._request.config
    data = load_dataset(config.data, 0, lambda *_: None)
    header, content = read_margins(run.directory.path / MARGINS_FILE, 2)
    assert (header.images, header.classes, header.digest) == (1151, 10, data.train_digest())
    found = torch.frombuffer(bytearray(content), dtype=torch.uint8).view(2, 1151, 2)
    for epoch in (1, 2):
        order = epoch_order(data.train, 0, epoch).tolist()
        position = {image: place % 251 + 1 for place, image in enumerate(order)}
        expected = [position[image] for image in data.train.tolist()]
        assert found[epoch - 1, :, 0].tolist() == expected


def test_unwritable_record_is_a_notice(tmp_path):
    run = RunForTests(tmp_path, "train.epochs=2")
    (run.directory.path / MARGINS_FILE).mkdir()
    run.train()
    assert run.live_state.status == "done"
    texts = [notice.text for notice in run.live_state.notices]
    assert texts.count("margins.bin could not be written: Is a directory") == 2


def test_last_epochs_are_not_recorded_beyond_the_limit(tmp_path, monkeypatch):
    monkeypatch.setattr("cnn_engine.results.margins.MAX_BYTES", 2 * 2 * 1151 + 100)
    run = RunForTests(tmp_path, "train.epochs=3").train()
    assert len(record(run)) == 512 + 2 * 2 * 1151


def test_processes_record_their_own_images_only(monkeypatch):
    """One that has no image of a batch computes another in its place, which is not recorded."""
    monkeypatch.setattr(Processes, "add", lambda *_: None)
    sizes, count = [4, 4, 1], 2
    logits = torch.randn(9, 3, generator=torch.Generator().manual_seed(0))
    targets, whole = torch.arange(9) % 3, []
    for processes in (Processes(), *(Processes(rank=rank, count=count) for rank in range(count))):
        parts = [processes.share(size) for size in sizes]
        parts = [part if part.start < part.stop else slice(0, 1) for part in parts]
        own = [torch.arange(9).split(sizes)[step][part].tolist() for step, part in enumerate(parts)]
        table = torch.tensor([[*images, *[0] * 4][: len(own[0])] for images in own])
        margins = EpochMargins(
            sizes, 3, lambda a, b, table=table: targets[table[a:b]], CPU, processes
        )
        margins.begin(0)
        for step, images in enumerate(own):
            margins.add(logits[images], torch.tensor([step]))
            margins.launched(step + 1)
        whole.append(margins.rows(3).int())
    assert (whole[0][:, 0] > 0).all()
    assert torch.equal(whole[1] + whole[2], whole[0])
