"""Image files classified by a run's model: decoded as training does it, a batch at a time."""

from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from cnn_engine.data.decode import Unreadable, decode
from cnn_engine.data.image_files import Named
from cnn_engine.data.raw import Pixels
from cnn_engine.inference.prediction import Prediction, PredictionFailed
from cnn_engine.inference.trained import TrainedModel
from cnn_engine.system.threads import choose_threads

BATCH_PIXELS = 2**18
"""Pixels in a batch, so that memory stays small whatever the images' size."""

MOST_IMAGES = 64
"""Images in a batch, however small they are: the files may be large, and answers should come."""


def predict(
    trained: TrainedModel, images: Sequence[Named], top: int
) -> Generator[Prediction | PredictionFailed]:
    """Answer for every image, in their order.

    Args:
        trained: The model.
        images: The files to classify.
        top: How many of the likeliest classes to tell, at most.
    """
    _, size, _ = trained.image_shape
    step = max(1, min(MOST_IMAGES, BATCH_PIXELS // size**2))
    with ThreadPoolExecutor(choose_threads()) as pool:
        for first in range(0, len(images), step):
            batch = images[first : first + step]
            decoded = list(pool.map(lambda image: _decoded(trained, image), batch))
            yield from _answers(trained, batch, decoded, top)


def _decoded(trained: TrainedModel, image: Named) -> Pixels | str:
    """The image's pixels, or why there are none."""
    channels, size, _ = trained.image_shape
    try:
        return decode(image.path, size, channels, trained.config.data.fit)
    except Unreadable as error:
        return str(error)
    except MemoryError:
        return "takes more memory than there is"


def _answers(
    trained: TrainedModel, images: Sequence[Named], decoded: list[Pixels | str], top: int
) -> Iterator[Prediction | PredictionFailed]:
    readable = [pixels for pixels in decoded if not isinstance(pixels, str)]
    likeliest = iter(_likeliest(trained, readable, top))
    for image, pixels in zip(images, decoded, strict=True):
        if isinstance(pixels, str):
            yield PredictionFailed(path=image.path, reason=pixels)
        else:
            yield Prediction(
                path=image.path,
                top=next(likeliest),
                target=image.truth(trained.classes),
                size=pixels.shape[0],
                pixels=pixels.tobytes(),
            )


def _likeliest(
    trained: TrainedModel, images: list[Pixels], top: int
) -> list[tuple[tuple[str, float], ...]]:
    """For each image the likeliest classes with their probabilities, the likeliest first."""
    if not images:
        return []
    scores = trained.logits(torch.from_numpy(np.stack(images)))
    # Stable: of two classes that score the same, the first, as everywhere else.
    values, labels = scores.softmax(dim=1).sort(dim=1, descending=True, stable=True)
    return [
        tuple((trained.classes[label], value) for label, value in zip(*pair, strict=True))
        for pair in zip(labels[:, :top].tolist(), values[:, :top].tolist(), strict=True)
    ]
