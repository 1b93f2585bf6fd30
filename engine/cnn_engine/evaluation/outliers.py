"""Images that a network sees as unlike all others: distances between their features."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from cnn_engine.data.loader import TensorLoader
from cnn_engine.evaluation.evaluate import evaluation_batch_size
from cnn_engine.models.head import find_head_name

NEIGHBOR = 50
"""Number of the nearest neighbour whose distance counts, or a hundredth of the images if that is
less; as in the paper for 50,000 images of ten classes."""

MAX_PRODUCTS = 2e11
"""Multiplications of features at most, about five seconds on two cores; with more images, each is
compared with a sample of them."""

MIN_REFERENCES, CHUNK = 1_000, 1_024


def outlier_scores(features: Tensor) -> Tensor:
    """Return how far each image is from the others (Y. Sun and others, 2022, arXiv:2204.06507).

    The score is one minus the cosine similarity of its features to those of its k-th nearest
    neighbour: the squared distance of the normalized features, halved.

    Args:
        features: float32 [N, D].

    Returns:
        float32 [N], 0 to 1, on the host.
    """
    count, size = features.shape
    if count < 2:
        return torch.zeros(count)
    normal = normalize(features, dim=1)
    wanted = min(count, max(MIN_REFERENCES, int(MAX_PRODUCTS / (count * size))))
    every = -(-count // wanted)
    references = normal[::every]
    neighbor = max(1, round(min(NEIGHBOR, count // 100) * len(references) / count))
    is_reference = torch.arange(count, device=features.device) % every == 0
    scores = []
    for part, is_own in zip(
        *(torch.split(each, CHUNK) for each in (normal, is_reference)), strict=True
    ):
        # A reference is its own nearest neighbour.
        nearest = (part @ references.T).topk(min(neighbor + 1, len(references)), dim=1).values
        scores.append(1 - torch.where(is_own, nearest[:, -1], nearest[:, max(0, neighbor - 1)]))
    return torch.cat(scores).clamp(0, 1).nan_to_num(1.0).cpu()


@torch.inference_mode()
def penultimate_features(
    model: nn.Module, loader: TensorLoader, indices: Tensor, progress: Callable[[int], None]
) -> Tensor | None:
    """Return the inputs of the model's last layer, float32 [M, D] on its device.

    Args:
        model: In evaluation mode: normalized images [N, C, H, W] to logits [N, classes].
        loader: The images.
        indices: int64 [M], M > 0.
        progress: Called after each batch with the number of images done; may raise to stop.

    Returns:
        None if the last layer cannot be found.
    """
    if not (name := find_head_name(model)):
        return None
    parts: list[Tensor] = []
    with _inputs_of(model.get_submodule(name), parts):
        size = evaluation_batch_size(loader.device, *loader.images.shape[1:3])
        for images, _ in loader.batches(indices, size):
            model(images)
            progress(min(len(indices), sum(map(len, parts))))
    features = torch.cat(parts)
    return features if len(features) == len(indices) else None


@contextmanager
def _inputs_of(module: nn.Module, inputs: list[Tensor]) -> Iterator[None]:
    """Append the inputs of a module to a list within the block, as float32 [n, D] each."""

    def keep(_module: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        values = arguments[0].float()
        inputs.append(values.mean(dim=(2, 3)) if values.ndim == 4 else values.flatten(1))

    handle = module.register_forward_pre_hook(keep)
    try:
        yield
    finally:
        handle.remove()
