"""Classifies image files with a run's model, decoded as in training, batch by batch."""

from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from cnn_engine.data.decode import Unreadable, decode
from cnn_engine.data.image_files import same_form
from cnn_engine.data.image_search import RequestedImage
from cnn_engine.data.raw import Pixels
from cnn_engine.inference.polarity import looks_inverted
from cnn_engine.inference.prediction import Prediction, PredictionFailed
from cnn_engine.inference.trained import TrainedModel
from cnn_engine.inspection.heatmaps import try_heatmaps
from cnn_engine.results.heatmap import Heatmap
from cnn_engine.system.threads import choose_threads

BATCH_PIXELS = 2**18
"""Maximum number of pixels per batch, which limits memory for images of any size."""

MAX_BATCH_SIZE = 64
"""Maximum number of images per batch: files may be large, and predictions should appear soon."""


def predict(
    trained: TrainedModel,
    images: Sequence[RequestedImage],
    top: int,
    *,
    invert: bool = False,
    why: Callable[[str], None] | None = None,
) -> Generator[Prediction | PredictionFailed]:
    """Yield a prediction for every image, in order.

    Args:
        trained: The model.
        images: Files to classify.
        top: Maximum number of most probable classes.
        invert: Invert the images: white becomes black.
        why: Add heatmaps; called with the reason for each batch that has none.
    """
    _, size, _ = trained.image_shape
    batch_size = max(1, min(MAX_BATCH_SIZE, BATCH_PIXELS // size**2))
    with ThreadPoolExecutor(choose_threads()) as pool:
        for first in range(0, len(images), batch_size):
            batch = images[first : first + batch_size]
            decoded = list(pool.map(lambda image: _decode(trained, image, invert=invert), batch))
            yield from _predict_batch(trained, batch, decoded, top, why)


def _decode(trained: TrainedModel, image: RequestedImage, *, invert: bool) -> Pixels | str:
    """Return the image's pixels, uint8 [size, size, channels], or the reason why it has none."""
    channels, size, _ = trained.image_shape
    data = trained.config.data
    try:
        pixels = decode(image.path, size, channels, data.fit, data.max_value)
        return 255 - pixels if invert else pixels
    except Unreadable as error:
        return str(error)
    except MemoryError:
        return "not enough memory"


def _predict_batch(
    trained: TrainedModel,
    images: Sequence[RequestedImage],
    decoded: list[Pixels | str],
    top: int,
    why: Callable[[str], None] | None,
) -> Iterator[Prediction | PredictionFailed]:
    readable = [pixels for pixels in decoded if not isinstance(pixels, str)]
    class_by_form = {same_form(name): name for name in trained.classes}
    all_classes = _top_classes(trained, readable, top)
    heatmaps = iter(_heatmaps(trained, readable, all_classes, why))
    top_classes = iter(all_classes)
    for image, pixels in zip(images, decoded, strict=True):
        if isinstance(pixels, str):
            yield PredictionFailed(path=image.path, reason=pixels)
        else:
            yield Prediction(
                path=image.path,
                top=next(top_classes),
                target=image.true_class(class_by_form),
                size=pixels.shape[0],
                pixels=pixels.tobytes(),
                looks_inverted=looks_inverted(pixels, trained.brightness),
                heatmap=next(heatmaps),
            )


def _top_classes(
    trained: TrainedModel, images: list[Pixels], top: int
) -> list[tuple[tuple[str, float], ...]]:
    """Return the most probable classes of each image with their probabilities, descending."""
    if not images:
        return []
    logits = trained.logits(torch.from_numpy(np.stack(images)))
    # Stable: of classes with equal logits the first wins, as in argmax.
    values, labels = logits.softmax(dim=1).sort(dim=1, descending=True, stable=True)
    return [
        tuple((trained.classes[label], value) for label, value in zip(*row, strict=True))
        for row in zip(labels[:, :top].tolist(), values[:, :top].tolist(), strict=True)
    ]


def _heatmaps(
    trained: TrainedModel,
    images: list[Pixels],
    top_classes: list[tuple[tuple[str, float], ...]],
    why: Callable[[str], None] | None,
) -> Sequence[Heatmap | None]:
    """Return the heatmap of each image for its most probable class; None without `why`."""
    if why is None or not images:
        return [None] * len(images)
    classes = torch.tensor([trained.classes.index(top[0][0]) for top in top_classes])
    problems: list[str] = []
    with trained.autocast():
        normalized = trained.normalize(torch.from_numpy(np.stack(images)))
        found = try_heatmaps(trained.model, normalized, classes, problems.append)
    if found[0] is None:
        why(problems[0] if problems else "no heatmaps: the network has no feature maps")
    return found
