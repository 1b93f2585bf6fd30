"""Training in several processes, called by name in each of them."""

from copy import deepcopy
from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from cnn_engine.config.schema import Config
from cnn_engine.data.dataset import DataSet, load_dataset
from cnn_engine.distributed.meetings import Meetings
from cnn_engine.distributed.processes import Processes
from cnn_engine.evaluation.evaluate import EVALUATION_PIXELS, evaluate
from cnn_engine.models.running_statistics import running_statistics
from cnn_engine.training.control import Control
from cnn_engine.training.trainer import Trainer
from runs_for_tests import RunForTests

PLAIN = (
    "model.name=networks_for_tests:Plain",
    "train.precision=fp32",
    "train.class_weights=balanced",
    "train.label_smoothing=0.1",
    "train.epochs=20",
)
"""A network without batch norm and dropout."""

STEPS = 100


def make_trainer(processes: Processes, directory: Path, *settings: str) -> Trainer:
    """Return a trainer of bundled digits, in one of some processes."""
    torch.set_num_threads(1)
    run = RunForTests(directory / f"{processes.rank}-of-{processes.count}", *settings)
    config: Config = run.engine._request.config
    data: DataSet = load_dataset(config.data, config.train.seed, lambda *_: None)
    control = Control(run.recorder)
    return Trainer(config, data, run.recorder, control, processes=processes)


def train(processes: Processes, directory: Path, *settings: str) -> dict[str, object]:
    """Train some steps; return all that must be equal in every process."""
    trainer = make_trainer(processes, directory, *settings)
    state, losses = trainer.state, []
    while len(losses) < STEPS:
        trainer.begin_epoch()
        _, accuracy = trainer.train_epoch()
        losses += state.steps.losses(0, state.steps_per_epoch)
    margins = trainer.state.margins()
    evaluation = trainer.learner.evaluate(trainer.data.val, lambda _: None)
    trainer.close()
    return {
        "losses": losses,
        "margins": torch.frombuffer(bytearray(margins), dtype=torch.uint8).view(-1, 2).int(),
        "accuracy": accuracy,
        "last batch": state.batch_sizes[-1],
        "weights": trainer.learner.weights.flat.detach().clone(),
        "evaluation": (evaluation.loss, evaluation.correct, evaluation.confusion, evaluation.bins),
    }


def evaluate_and_draw(processes: Processes, directory: Path) -> dict[str, object]:
    """Train an epoch; return what this process computes with the others, and alone."""
    EVALUATION_PIXELS["cpu"] = 60 * 8 * 8  # 5 batches
    trainer = make_trainer(processes, directory, "train.batch_size=64", "train.precision=fp32")
    learner, data = trainer.learner, trainer.data
    trainer.begin_epoch()
    trainer.state.seed_step()
    drawn = torch.rand(3)
    trainer.train_epoch()
    calls: list[int] = []
    together = learner.evaluate(data.val, calls.append)
    classes = len(data.classes)
    alone = evaluate(learner.model, trainer.state.loader, data.val, classes, lambda _: None)
    trainer.close()
    return {
        "drawn": drawn.tolist(),
        "calls": len(calls),
        "statistics": torch.cat(running_statistics(learner.model)),
        "together": (together.loss, together.correct, together.predictions.confidence.tolist()),
        "alone": (alone.loss, alone.correct, alone.predictions.confidence.tolist()),
    }


def gradients(processes: Processes, directory: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the gradient of a batch of 32, and that of DistributedDataParallel."""
    trainer = make_trainer(processes, directory, *PLAIN[:2], "train.batch_size=32")
    trainer.begin_epoch()
    state, learner = trainer.state, trainer.learner
    state.schedule.begin_epoch(1, 0)
    learner.begin_epoch(1)
    state.set_rates()
    images, targets = state.schedule.inputs.batch(32)
    copy = nn.parallel.DistributedDataParallel(deepcopy(learner.model))
    cross_entropy(copy(images), targets).backward()
    expected = torch.cat([parameter.grad.flatten() for parameter in copy.parameters()])
    learner.optimizer.current_lr = torch.tensor(0.0)
    learner.train_step(images, targets, state.schedule.inputs.shares())
    found = learner.weights.by_name(learner.weights.flat.grad)
    trainer.close()
    return torch.cat([gradient.flatten() for gradient in found.values()]), expected


def train_run(processes: Processes, directory: Path, epochs: int, file: str) -> str:
    """Train a run to its end, from a checkpoint if `file` is one; return why it is not exact."""
    torch.set_num_threads(1)
    settings = (
        "train.precision=fp32",
        "average.kind=ema",
        "schedule.shape=constant",
        f"train.epochs={epochs}",
    )
    run = RunForTests(directory / f"{processes.rank}-of-{processes.count}", *settings)
    config: Config = run.engine._request.config
    data = load_dataset(config.data, config.train.seed, lambda *_: None)
    control = Control(run.recorder)
    control.join(Meetings(processes))
    checkpoint = Path(file) if file and processes.is_first else None
    trainer = Trainer(config, data, run.recorder, control, checkpoint, processes=processes)
    trainer.run()
    if processes.is_first:
        (run.directory.path / "last.pt").rename(directory / f"after-{epochs}.pt")
    return "; ".join(run.recorder.state.prepared.differences)


def train_with_drift(processes: Processes, directory: Path) -> tuple[list[str], torch.Tensor]:
    """Train two epochs, and change a weight of process 1 in the first; return the notices."""
    trainer = make_trainer(processes, directory, "train.epochs=2", "train.precision=fp32")
    trainer.control.join(Meetings(processes))
    trainer.control.begin_training(trainer)
    trainer._run_epoch()
    if not processes.is_first:
        trainer.learner.weights.flat.data[0] += 1
    trainer._run_epoch()
    trainer.close()
    notices = [notice.text for notice in trainer.recorder.state.notices]
    return notices, trainer.learner.weights.flat.detach().clone()
