"""Training on a real GPU: captured steps, pauses, resuming, memory."""

import json
import math
import time

import numpy as np
import pytest
import torch
from PIL import Image

from cnn_engine.benchmarks import bench
from cnn_engine.checkpoints import checkpoint
from cnn_engine.config.presets import load_config
from cnn_engine.data import loader
from cnn_engine.data.dataset import load_dataset
from cnn_engine.data.image_search import RequestedImage
from cnn_engine.inference.predict import predict
from cnn_engine.inference.retest import retest
from cnn_engine.inference.trained import load_trained_model
from cnn_engine.runlog.events import EpochStarted, Notice, StepsCaptured, StepsFinished
from cnn_engine.runs.directory import create_run
from cnn_engine.runs.recorder import Recorder
from cnn_engine.runs.summary import read_state
from cnn_engine.training.control import Control
from cnn_engine.training.launch_queue import AHEAD_SECONDS
from cnn_engine.training.scalars import GRAD_NORM, WEIGHT_NORM
from cnn_engine.training.trainer import Trainer
from grammar import COMPLETION_BEHIND, event_letters
from runs_for_tests import RunForTests, wait_until

pytestmark = pytest.mark.gpu

ON_GPU = "train.device=cuda"

RECIPES = {
    "adam": (),
    "adam fp32": ("train.precision=fp32",),
    "adamw, clipped": ("optimizer.name=adamw", "optimizer.clip_norm=1.0"),
    "sgd, cosine": ("optimizer.name=sgd", "schedule.shape=cosine", "schedule.warmup=0.2"),
    "groups": ("optimizer.bias_norm_lr=0.002", "optimizer.weight_decay=0.01"),
    "muon": ("optimizer.name=muon", "optimizer.lr=0.02", "optimizer.normalise=true"),
    "ema": ("average.kind=ema", "average.every=2"),
    "lookahead": ("average.kind=lookahead", "average.every=3", "average.decay=0.9"),
    "smoothed, weighted": ("train.label_smoothing=0.1", "train.class_weights=balanced"),
    "augmented": ("augment.flip=random", "augment.translate=1", "augment.cutout=2"),
    "whitened": ("model.name=whitened", "model.filters=[8]"),
    "resnet": ("model.name=resnet", "model.filters=[8, 16]"),
}


@pytest.fixture(autouse=True)
def repeatable(monkeypatch):
    """Make cuDNN and cuBLAS deterministic, so that differences come from the engine."""
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)


def captured(run):
    return [event.reason for event in run.events() if isinstance(event, StepsCaptured)]


@pytest.mark.parametrize("settings", RECIPES.values(), ids=RECIPES)
def test_captured_steps_match_eager_steps(tmp_path, settings):
    replayed, eager = (
        RunForTests(tmp_path, "train.epochs=4", ON_GPU, *settings, f"train.graph={graph}").train()
        for graph in ("auto", "off")
    )
    assert captured(replayed) == [""]
    assert captured(eager) == []
    assert COMPLETION_BEHIND.fullmatch(event_letters(replayed.events()))
    for epoch, expected in zip(replayed.live_state.epochs, eager.live_state.epochs, strict=True):
        assert epoch.train_loss == pytest.approx(expected.train_loss, rel=1e-2)
        assert epoch.val_loss == pytest.approx(expected.val_loss, rel=2e-2)
    assert replayed.live_state.epochs[-1].train_loss < replayed.live_state.epochs[0].train_loss
    series, expected = replayed.live_state.series, eager.live_state.series
    assert series[WEIGHT_NORM].last == pytest.approx(expected[WEIGHT_NORM].last, rel=2e-2)
    assert 0.1 < series[GRAD_NORM].last / expected[GRAD_NORM].last < 10


def test_schedule_and_commands_reach_captured_steps(tmp_path):
    """With a learning rate of almost 0 the weights do not change."""
    run = RunForTests(tmp_path, "train.epochs=100000", ON_GPU)
    run.engine.start()
    wait_until(lambda: run.live_state.is_captured)
    run.send("lr", 1e-30)
    wait_until(lambda: run.live_state.lr == 1e-30)
    epoch = run.live_state.epoch
    wait_until(lambda: len(run.live_state.epochs) >= epoch + 3)
    run.send("stop")
    run.engine.join()
    # Losses still vary a little, by dropout and the running means of batch norm.
    losses = [result.train_loss for result in run.live_state.epochs[epoch + 1 :]]
    assert max(losses) - min(losses) < 0.3 * losses[0]
    state = checkpoint.load(run.directory.path / "last.pt", torch.device("cpu"))
    assert state["optimizer"]["lr"] == 1e-30


def test_resumed_run_equals_uninterrupted_one(tmp_path):
    settings = ("train.epochs=4", ON_GPU, "train.precision=fp32")
    uninterrupted = RunForTests(tmp_path, *settings).train()
    resumed = RunForTests(tmp_path, *settings, "train.epochs=2").train()
    resumed.resume(epochs=4)
    assert [epoch.epoch for epoch in resumed.live_state.epochs] == [1, 2, 3, 4]
    for epoch, expected in zip(
        resumed.live_state.epochs, uninterrupted.live_state.epochs, strict=True
    ):
        assert epoch.train_loss == pytest.approx(expected.train_loss, rel=1e-2)


def test_run_stopped_within_epoch_resumes_there(tmp_path):
    run = RunForTests(tmp_path, "train.epochs=100000", ON_GPU)
    run.engine.start()
    wait_until(lambda: len(run.live_state.epochs) >= 3)
    run.send("stop")
    run.engine.join()
    epochs = len(run.live_state.epochs) + 2
    run.resume(epochs=epochs)
    assert run.live_state.status == "done"
    steps = [event for event in run.events() if isinstance(event, StepsFinished)]
    counts = {}
    for event in steps:
        counts[event.epoch] = counts.get(event.epoch, 0) + event.steps
    assert set(counts.values()) == {18}


def test_paused_run_launches_no_kernels(tmp_path):
    run = RunForTests(tmp_path, "train.epochs=100000", ON_GPU)
    run.engine.start()
    wait_until(lambda: run.live_state.is_captured)
    run.send("pause")
    wait_until(lambda: run.live_state.paused)
    known = len(run.events())
    time.sleep(0.3)
    assert len(run.events()) == known
    run.send("unpause")
    run.send("stop")
    run.engine.join()
    assert run.live_state.status == "stopped"


def test_host_is_ahead_by_bounded_time(tmp_path, monkeypatch):
    ahead = []
    real = Trainer._after_step

    def record_lead(trainer, logger):
        queue = trainer.state.steps._queue
        ahead.append((trainer.progress.step - queue.done) * queue._step_seconds)
        real(trainer, logger)

    monkeypatch.setattr(Trainer, "_after_step", record_lead)
    settings = ("model.filters=[64, 128]", "data.image_size=32", "train.epochs=20")
    RunForTests(tmp_path, ON_GPU, *settings).train()
    settled = ahead[len(ahead) // 2 :]
    assert 0 < max(settled) < 2 * AHEAD_SECONDS


USER_MODEL = """
import random
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, channels, image_size, class_count, kind=""):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(channels * image_size**2, 32), nn.ReLU(), nn.Dropout(0.2)
        )
        self.head = nn.Linear(32, class_count)
        self.kind, self.calls = kind, 0

    def forward(self, images):
        maps = self.layers(images)
        if self.kind == "reads" and self.training and maps.mean().item() > 1e9:
            maps = maps * 2
        if self.kind == "counts":
            self.calls += 1
        if self.kind == "draws" and random.random() < 0.5:
            maps = maps * 1.1
        return self.head(maps)
"""


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("", ""),
        ("reads", "capturing"),
        ("counts", "the model changes its attribute calls in a step"),
        ("draws", "the model draws random numbers on the host"),
    ],
)
def test_uncapturable_step_runs_eagerly_and_is_reported_once(tmp_path, monkeypatch, kind, reason):
    name = f"own_{kind or 'plain'}"
    (tmp_path / f"{name}.py").write_text(USER_MODEL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    settings = ("train.epochs=8", f"model.name={name}:Net", f"model.options.kind={kind}")
    run = RunForTests(tmp_path / "runs", ON_GPU, "model.filters=[8]", *settings)
    run.train()
    console = run.directory.console
    assert run.live_state.status == "done", console.read_text() if console.exists() else ""
    reasons = captured(run)
    assert len(reasons) == 1
    assert reason in reasons[0]
    assert (reasons == [""]) == (kind == "")
    assert run.live_state.epochs[-1].train_loss < 0.8 * run.live_state.epochs[0].train_loss
    # A failed capture leaves the generator and the allocator usable.
    assert torch.rand(10, device="cuda").unique().numel() == 10


def test_fp16_trains_and_reports_that_it_is_not_captured(tmp_path):
    run = RunForTests(tmp_path, ON_GPU, "train.precision=fp16", "train.epochs=3").train()
    assert run.live_state.prepared.precision == "fp16"
    assert run.live_state.status == "done"
    assert len(captured(run)) == 1
    assert "fp16" in run.live_state.notices[-1].text
    assert 0 < run.live_state.series[GRAD_NORM].last < 100  # not multiplied by the loss scale
    assert run.live_state.epochs[-1].train_loss < run.live_state.epochs[0].train_loss


def test_fp32_is_more_precise_than_tf32(tmp_path):
    left, right = (torch.randn(64, 64, 8, 8, device="cuda") for _ in range(2))
    exact = torch.nn.functional.conv2d(left.double(), right.double(), padding=4)
    from cnn_engine.system.device import autocast  # noqa: PLC0415

    errors = {}
    for precision in ("fp32", "tf32"):
        with autocast(torch.device("cuda", 0), precision):
            result = torch.nn.functional.conv2d(left, right, padding=4)
        errors[precision] = ((result - exact).norm() / exact.norm()).item()
    assert errors["fp32"] < 1e-5 < errors["tf32"] < 1e-2
    run = RunForTests(tmp_path, ON_GPU, "train.precision=tf32", "train.epochs=1").train()
    assert run.live_state.prepared.precision == "tf32"


@pytest.mark.parametrize("settings", [(), ("augment.translate=1", "augment.flip=random")])
def test_images_on_host_give_the_same_result(tmp_path, monkeypatch, settings):
    settings = ("train.epochs=3", ON_GPU, "train.precision=fp32", *settings)
    on_device = RunForTests(tmp_path, *settings).train()
    monkeypatch.setattr(loader, "MAX_GPU_FRACTION", 0.0)
    staged = RunForTests(tmp_path, *settings).train()
    assert captured(staged) == [""]
    for epoch, expected in zip(staged.live_state.epochs, on_device.live_state.epochs, strict=True):
        assert epoch.train_loss == pytest.approx(expected.train_loss, rel=1e-2)
    assert sum(staged.live_state.test.total) == 359


def test_out_of_memory_error_names_requested_size(tmp_path):
    torch.cuda.empty_cache()
    free, _ = torch.cuda.mem_get_info()
    ballast = torch.empty(free - (600 << 20), dtype=torch.uint8, device="cuda")
    try:
        settings = ("train.batch_size=1151", "model.filters=[512]", "data.image_size=64")
        run = RunForTests(tmp_path, ON_GPU, *settings).train()
    finally:
        del ballast
        torch.cuda.empty_cache()
    assert run.engine.exit_code == 4
    error = run.live_state.finished.error
    assert error.startswith("out of GPU memory (")
    assert "more requested" in error
    assert "train.batch_size" in error


def test_last_smaller_batch_is_trained(tmp_path):
    """1,151 images in batches of 64 leave 63, whose step is captured in the fourth epoch."""
    run = RunForTests(tmp_path, ON_GPU, "train.epochs=6").train()
    steps = [event for event in run.events() if isinstance(event, StepsFinished)]
    for epoch in range(1, 7):
        assert sum(event.images for event in steps if event.epoch == epoch) == 1151
    assert all(math.isfinite(event.loss) for event in steps)


def test_nan_loss_fails_the_run(tmp_path):
    run = RunForTests(tmp_path, ON_GPU, "optimizer.lr=1e30", "train.epochs=50").train()
    assert run.engine.exit_code == 4
    assert "became" in run.live_state.finished.error or "no longer" in run.live_state.finished.error


def test_steps_are_captured_after_rollback(tmp_path):
    settings = ("optimizer.lr=1e30", "train.on_non_finite=rollback", "train.epochs=2")
    run = RunForTests(tmp_path, ON_GPU, *settings).train()
    assert "gave up after 5 rollbacks" in run.live_state.finished.error


def test_trained_run_can_be_tested_and_used(tmp_path):
    run = RunForTests(tmp_path / "runs", ON_GPU, "train.epochs=8").train()
    repeated = retest(run.directory, None, lambda *_: None)
    assert repeated.is_equal
    trained = load_trained_model(run.directory)
    assert trained.device == torch.device("cuda", 0)
    config = load_config("digits", ["data.image_size=8"])
    data = load_dataset(config.data, 0, lambda *_: None)
    files = []
    for number, index in enumerate(data.test[:20].tolist()):
        path = tmp_path / f"{number}.png"
        Image.fromarray(np.asarray(data.images[index, :, :, 0])).save(path)
        files.append(RequestedImage(str(path), ""))
    predictions = list(predict(trained, files, top=3))
    correct = [
        prediction.top[0][0] == data.classes[data.labels[index]]
        for prediction, index in zip(predictions, data.test[:20].tolist(), strict=True)
    ]
    assert sum(correct) >= 12
    assert (run.directory.path / "maps.bin").exists()
    layers = json.loads((run.directory.path / "model.json").read_text())
    assert layers["layers"]
    assert not [event for event in run.events() if isinstance(event, Notice)]


def test_bench_measures_gpu(tmp_path):
    config = load_config("digits", ["train.device=cuda", "data.image_size=32"])
    data = load_dataset(config.data, 0, lambda *_: None)
    measured = bench.measure(config, data, 2, 0.5, lambda *_: None)
    assert measured.device == "cuda"
    assert {rate.name for rate in measured.rates} == {"reference", "fp32", "bf16"}


def test_memory_does_not_grow(tmp_path):
    run = RunForTests(tmp_path, ON_GPU, "train.epochs=12")
    used = []
    real = Trainer._validate

    def record_memory(trainer):
        used.append(torch.cuda.memory_allocated())
        return real(trainer)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "_validate", record_memory)
        run.train()
    assert max(used[6:]) <= used[5] + (1 << 20)


def test_log_keeps_up_with_short_epochs(tmp_path):
    run = RunForTests(tmp_path, ON_GPU, "train.epochs=5").train()
    state, damaged = read_state(run.directory)
    assert damaged == 0
    assert state == run.live_state
    assert [event.epoch for event in run.events() if isinstance(event, EpochStarted)] == [
        1,
        2,
        3,
        4,
        5,
    ]
    saved = [(event.reason, event.epoch) for event in state.checkpoints]
    last = [epoch for reason, epoch in saved if reason == "last"]
    assert last[-1] == 5
    assert last == sorted(set(last))


def test_steps_of_a_trainer_in_a_script_are_captured(tmp_path):
    config = load_config("digits", ["train.device=cuda", "data.image_size=8", "model.filters=[8]"])
    data = load_dataset(config.data, 0, lambda *_: None)
    with Recorder(create_run(tmp_path)) as recorder:
        trainer = Trainer(config, data, recorder, Control(recorder))
        trainer.begin_epoch()
        trainer.train_epoch()
        assert recorder.state.is_captured
