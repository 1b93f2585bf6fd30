"""What is kept of a model for people to look at, and of which images.

Nothing here changes what is trained: the model runs in evaluation mode, without gradients, and is
then in the mode it was in before, module by module; the state of the random numbers is put back.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor

from cnn_engine.data.dataset import DataSet
from cnn_engine.evaluation.evaluate import Answers
from cnn_engine.inspection.feature_maps import Seen, seen_by
from cnn_engine.inspection.layers import inspect_layers
from cnn_engine.results.feature_maps import MAPS_FILE, Part
from cnn_engine.results.model_layers import LAYERS_FILE, Layers, layers_as_bytes
from cnn_engine.storage.atomic import write_atomically

if TYPE_CHECKING:
    from cnn_engine.training.trainer import Training

T = TypeVar("T")

MOST_SAMPLES = 20
"""Images that are kept with their maps."""


def keep_layers(training: "Training") -> None:
    """Write `model.json`, or tell why it could not be."""

    def found() -> Layers:
        images, _ = next(training.batches.batches(training.data.train[:1], 1))
        with training.learner.arithmetic():
            return inspect_layers(training.learner.model, images)

    _look_and_write(training, LAYERS_FILE, found, layers_as_bytes)


def keep_maps(training: "Training", part: Part, indices: Tensor, epoch: int) -> None:
    """Write `maps.bin`, or tell why it could not be.

    Args:
        training: Whose model, with the weights that it has now.
        part: Of which set the sample images are.
        indices: int64 [n], which images those are.
        epoch: That the weights are from.
    """
    if not training.learner.weights.are_finite():
        training.say_trouble(
            f"{MAPS_FILE} is not written, as weights are not numbers; an earlier one stands"
        )
        return
    _look_and_write(
        training, MAPS_FILE, lambda: seen_by(training, part, indices, epoch), Seen.as_bytes
    )


def _look_and_write(
    training: "Training", name: str, look: Callable[[], T], as_bytes: Callable[[T], bytes]
) -> None:
    """Look into the model now, and write what is seen; a model that fails then still trains.

    The writer may be behind training, which then has changed the model: it gets what was seen.
    """
    path = training.recorder.run.path / name
    try:
        seen = look()
    except Exception as error:  # noqa: BLE001 - a model of the user's own may do anything
        training.say_trouble(_not_made(name, error))
        return

    def work() -> str:
        try:
            write_atomically(path, as_bytes(seen))
        except OSError as error:
            return f"{name} could not be written: {error.strerror}; the Model view lacks it"
        except Exception as error:  # noqa: BLE001 - what was seen of such a model may be anything
            return _not_made(name, error)
        return ""

    training.saving.writer.write(work, training.say_trouble)


def _not_made(name: str, error: Exception) -> str:
    return f"{name} could not be made: {type(error).__name__}: {error}; the Model view lacks it"


def samples_per_class(data: DataSet, indices: Tensor, most: int = MOST_SAMPLES) -> Tensor:
    """The first images of each class among those at `indices`, class by class, then the second."""
    classes = min(len(data.classes), most)
    labels, each = data.labels[indices], max(1, most // classes)
    found = [indices[labels == label][:each] for label in range(classes)]
    turns = [part[turn : turn + 1] for turn in range(each) for part in found]
    return torch.cat(turns)[:most]


def correct_and_mistaken(data: DataSet, answers: Answers) -> Tensor:
    """Of the test images, some of each class that the model gets right, and its surest mistakes."""
    is_right = answers.predicted == answers.truth
    surest = answers.confidence[~is_right].argsort(descending=True, stable=True)
    wrong = data.test[~is_right][surest][: MOST_SAMPLES // 2]
    right = samples_per_class(data, data.test[is_right], MOST_SAMPLES - len(wrong))
    return torch.cat([right, wrong])
