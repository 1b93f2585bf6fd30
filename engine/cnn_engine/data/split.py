"""Splits into training, validation and test images."""

from dataclasses import dataclass

import torch
from torch import Tensor

from cnn_engine.config.schema import DataConfig
from cnn_engine.data.raw import RawImages
from cnn_engine.data.split_sizes import check_folds, held_out_counts
from cnn_engine.errors import DataError

TEST_SEED = 0
"""Seed of the test split, independent of the run's seed, so that results are comparable."""

FOLD_SEED = 1
"""Seed of the folds, likewise: each training image is in one of them."""


@dataclass(frozen=True, kw_only=True)
class Split:
    """Indices of the images of each part, int64 [M] each."""

    train: Tensor
    val: Tensor
    test: Tensor


def split(raw: RawImages, config: DataConfig, seed: int) -> Split:
    """Return the source's own split; parts that it lacks are split off from the training images.

    Args:
        raw: The images.
        config: Fractions of the parts that are split off, and the rules for it.
        seed: Seed of the validation split.

    Raises:
        ConfigError: the source has validation images, and the config has folds.
        DataError: there are fewer training images than folds.
    """
    check_folds(config.folds, has_val=raw.val_count > 0)
    train_end, val_end = raw.train_count, raw.train_count + raw.val_count
    train, val = torch.arange(train_end), torch.arange(train_end, val_end)
    test = torch.arange(val_end, len(raw.images))
    labels = torch.from_numpy(raw.labels)
    is_stratified, draws_val = config.rules > 1, bool(config.validation_fraction) and not len(val)
    if not len(test):
        # Of each class an image to train on and one to validate on are left.
        reserve = 1 + draws_val if is_stratified else None
        train, test = _draw(train, labels, config.test_fraction, TEST_SEED, reserve)
    if config.folds is not None and config.fold is not None:
        if len(train) < config.folds:
            raise DataError(
                f"{raw.source}: {len(train)} training images are too few for data.folds = "
                f"{config.folds}; use at most {len(train)}"
            )
        is_val = _numbers_of_folds(labels[train], config.folds) == config.fold
        train, val = train[~is_val], train[is_val]
    elif draws_val or not is_stratified:  # the first rules shuffle training images in any case
        reserve = 1 if is_stratified else None
        train, val = _draw(train, labels, config.validation_fraction, seed, reserve)
    return Split(train=train, val=val if config.validation_fraction else val[:0], test=test)


def _numbers_of_folds(labels: Tensor, folds: int) -> Tensor:
    """Return the fold of each image, 1 to `folds`, at random; int64 [M].

    The sizes of folds differ by at most one image, and so do those of each class in them. The only
    image of a class is in none, 0, as it is needed to train on.

    Args:
        labels: int64 [M].
        folds: Number of folds.
    """
    generator = torch.Generator().manual_seed(FOLD_SEED)
    shuffled = torch.randperm(len(labels), generator=generator)
    by_class = shuffled[torch.argsort(labels[shuffled], stable=True)]
    has_others = torch.bincount(labels)[labels[by_class]] > 1
    numbers = torch.zeros_like(labels)
    numbers[by_class[has_others]] = torch.arange(int(has_others.sum())) % folds + 1
    return numbers


def _draw(
    indices: Tensor, labels: Tensor, fraction: float, seed: int, reserve: int | None
) -> tuple[Tensor, Tensor]:
    """Shuffle indices and split them; the second part holds `fraction` of them.

    Args:
        indices: int64 [M].
        labels: int64 [N], of all images.
        fraction: 0 to 1.
        seed: Seed of the permutation.
        reserve: Number of images of each class that the first part keeps; None to leave the class
            proportions of the parts to chance.
    """
    generator = torch.Generator().manual_seed(seed)
    shuffled = indices[torch.randperm(len(indices), generator=generator)]
    if reserve is None:
        cut = len(indices) - int(len(indices) * fraction)
        return shuffled[:cut], shuffled[cut:]
    is_held_out = _first_of_each_class(labels[shuffled], fraction, reserve)
    return shuffled[~is_held_out], shuffled[is_held_out]


def _first_of_each_class(labels: Tensor, fraction: float, reserve: int) -> Tensor:
    """Return a mask, bool [M], of the first images of each class, `fraction` of all.

    Args:
        labels: int64 [M].
        fraction: 0 to 1.
        reserve: Number of images of each class that are not in the mask.
    """
    counts = torch.bincount(labels)
    held_out = torch.tensor(held_out_counts(counts.tolist(), fraction, reserve), dtype=torch.int64)
    start = counts.cumsum(0) - counts
    rank = torch.empty_like(labels)
    order = torch.argsort(labels, stable=True)
    rank[order] = torch.arange(len(labels)) - start.repeat_interleave(counts)
    return rank < held_out[labels]
