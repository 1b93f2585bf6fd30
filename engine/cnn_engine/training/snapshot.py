"""All that a training goes on from: taken of one, as a checkpoint holds it, and given to one."""

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from cnn_engine.data.dataset import DataSet
from cnn_engine.errors import ConfigError, DataError
from cnn_engine.runlog.events import RunPrepared
from cnn_engine.system.environment import environment
from cnn_engine.system.environment_diff import environment_diff
from cnn_engine.system.random_states import random_states, set_random_states
from cnn_engine.training.learner import Learner

if TYPE_CHECKING:
    from cnn_engine.training.trainer import Training


def weights_of(training: "Training") -> dict[str, Any]:
    """What is needed to use the model: the content of `best.pt`."""
    weights, average = training.learner.weights, training.learner.average
    return {
        "model": average.state_dict()["model"] if average else weights.state_dict(),
        "epoch": training.epoch,
        "step": training.step,
        "best_loss": training.best_loss,
        "classes": list(training.data.classes),
        "config": training.config.model_dump(mode="json"),
    }


def snapshot(training: "Training") -> dict[str, Any]:
    """What is needed to go on as if nothing had been: the content of `last.pt`."""
    learner = training.learner
    return {
        **weights_of(training),
        "model": learner.weights.state_dict(),
        "average": learner.average.state_dict() if learner.average else None,
        "epoch_is_done": training.epoch_is_done,
        "optimizer": _optimizer_state(learner),
        "scaler": learner.scaler.state_dict(),
        "random": random_states(training.device),
        "losses": training.losses[: training.step].cpu(),
        "correct": int(training.correct.item()),
        "train_seconds": training.train_seconds,
        "rollbacks": training.rollbacks,
        "fingerprint": training.fingerprint,
        "environment": environment(training.device, learner.precision),
    }


def restore(training: "Training", content: dict[str, Any], file: str) -> tuple[str, ...]:
    """Go on from a snapshot; what is other here than where it was taken.

    Raises:
        ConfigError: it is of another model, or of weights alone.
        DataError: it was taken of a training on other images.
    """
    _check(training, content, file)
    learner = training.learner
    learner.weights.load_state_dict(content["model"])
    _load_optimizer_state(learner, content["optimizer"])
    if learner.average and content.get("average"):
        learner.average.load_state_dict(content["average"])
    if learner.scaler.is_enabled() and content["scaler"]:
        learner.scaler.load_state_dict(content["scaler"])
    training.epoch, training.step = content["epoch"], content["step"]
    training.epoch_is_done = content["epoch_is_done"]
    training.best_loss, training.rollbacks = content["best_loss"], content["rollbacks"]
    training.losses[: training.step] = content["losses"].to(training.device)
    training.correct.fill_(content["correct"])
    training.train_seconds = content["train_seconds"]
    set_random_states(training.device, content["random"])
    return environment_diff(environment(training.device, learner.precision), content["environment"])


def to_host(content: Any) -> Any:  # noqa: ANN401 - what a checkpoint holds, as nested as that is
    """Return a copy on the host of all tensors in nested dicts, lists and tuples.

    What shares memory shares it in the copy too: each storage is copied once.
    """
    copies: dict[int, torch.UntypedStorage] = {}

    def copied(value: Any) -> Any:  # noqa: ANN401
        match value:
            case Tensor():
                storage = value.untyped_storage()
                if storage.data_ptr() not in copies:
                    copies[storage.data_ptr()] = storage.clone().cpu()  # type: ignore[no-untyped-call]
                copy = torch.empty(0, dtype=value.dtype)
                return copy.set_(
                    copies[storage.data_ptr()],
                    value.storage_offset(),
                    value.shape,
                    value.stride(),
                )
            case dict():
                return {key: copied(each) for key, each in value.items()}
            case list() | tuple():
                return type(value)(copied(each) for each in value)
        return value

    return copied(content)


def check_images(before: RunPrepared | None, data: DataSet) -> None:
    """See that the images are those that the run was trained on, as far as its log tells.

    Raises:
        DataError: they are others.
    """
    if before is None:
        return
    counts = {
        "classes": (len(data.classes), len(before.classes)),
        "train images": (len(data.train), before.train_images),
        "validation images": (len(data.val), before.val_images),
        "test images": (len(data.test), before.test_images),
    }
    changes = [
        f"{now:,} {what}, before {was:,}" for what, (now, was) in counts.items() if now != was
    ]
    if not changes and data.classes != before.classes:
        changes = ["classes of other names"]
    if changes:
        raise DataError(
            f"{data.source}: has changed since the run was trained on it: {'; '.join(changes)}; "
            "bring the images back, or start anew with cnn-tui run"
        )


def _check(training: "Training", content: dict[str, Any], file: str) -> None:
    if "optimizer" not in content:
        raise ConfigError(f"{file}: holds weights only, not what training goes on from")
    check_weights(training.learner.weights.state_dict(), content["model"], file)
    if content["fingerprint"] != training.fingerprint:
        raise DataError(
            f"{training.data.source}: holds other images, or others to train on, than {file} was "
            "trained on; bring the images back, or start anew with cnn-tui run"
        )


def check_weights(mine: dict[str, Tensor], theirs: dict[str, Tensor], file: str) -> None:
    """See that a checkpoint's weights are those of the model that the config makes.

    Raises:
        ConfigError: they are of another model.
    """
    shapes, others = _shapes(mine), _shapes(theirs)
    for name in sorted(shapes.keys() | others.keys()):
        if shapes.get(name) != others.get(name):
            raise ConfigError(
                f"{file}: is of another model than the run's config makes: {name} is "
                f"{others.get(name, 'not in it')}, and should be {shapes.get(name, 'absent')}"
            )


def _shapes(state: dict[str, Tensor]) -> dict[str, str]:
    return {name: "×".join(map(str, values.shape)) or "a number" for name, values in state.items()}


def _optimizer_state(learner: Learner) -> dict[str, Any]:
    """The optimizer's state with values for each weight by the weights' names."""
    weights = learner.weights
    return {
        key: weights.by_name(value)
        if isinstance(value, Tensor) and value.shape == weights.flat.shape
        else value
        for key, value in learner.optimizer.state_dict().items()
    }


def _load_optimizer_state(learner: Learner, state: dict[str, Any]) -> None:
    flat = {
        key: learner.weights.flattened(value) if isinstance(value, dict) else value
        for key, value in state.items()
    }
    learner.optimizer.load_state_dict(flat)
