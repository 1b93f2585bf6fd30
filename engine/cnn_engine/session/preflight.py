"""Checks before a run directory exists, so that a typing error leaves no failed run."""

from collections import Counter
from pathlib import Path

from cnn_engine.config.paths import exists, is_directory
from cnn_engine.config.schema import DataConfig, TrainConfig
from cnn_engine.data.marks import find_marks
from cnn_engine.data.sources.first_rules import find_first_layout
from cnn_engine.data.sources.idx import find_set
from cnn_engine.data.sources.layout import find_layout
from cnn_engine.data.sources.listing import Listing, list_images
from cnn_engine.data.sources.table_listing import list_table
from cnn_engine.data.split_sizes import check_folds, held_out_counts
from cnn_engine.errors import ConfigError, DataError
from cnn_engine.progress import no_progress
from cnn_engine.session.request import Request
from cnn_engine.system.gpu_presence import may_exist


def check_request(request: Request, *, is_new: bool = True) -> None:
    """Check the device, the directory of the images and marks on them, without PyTorch.

    Args:
        request: What is to be trained.
        is_new: False to resume a run, which has its own copy of the marks.

    Raises:
        ConfigError: the device does not exist, or a column of a table; or the images cannot be
            divided into folds.
        DataError: there are no images, or fewer than folds, and the request has no fallback; or
            marks or a table are damaged.
    """
    _check_device(request.config.train)
    try:
        _check_directory(request.config.data)
    except DataError:
        if request.fallback is None:
            raise
    if is_new:
        find_marks(request.config.data)


def check_share(config: TrainConfig, processes: int) -> None:
    """Check that several processes can share the batches of a config.

    Raises:
        ConfigError: there are more processes than images, or the device has no way to exchange.
    """
    if config.batch_size < processes:
        images = f"a batch of {config.batch_size} images"
        raise ConfigError(f"train.batch_size: {images} cannot be shared by {processes} processes")
    if config.device == "mps":
        raise ConfigError("train.device: mps trains in one process only; use cpu")


def _check_device(config: TrainConfig) -> None:
    if not may_exist(config.device):
        raise ConfigError(
            f"train.device: there is no {config.device!r} device here; use auto or cpu"
        )


def _check_directory(config: DataConfig) -> None:
    match config.source:
        case "csv":
            listing = list_table(config, no_progress)
            check_folds(config.folds, has_val=listing.val_count > 0)
            _check_fold_count(config, listing)
        case "folder":
            find = find_layout if config.rules > 1 else find_first_layout
            layout = find(Path(config.path or ""))
            check_folds(config.folds, has_val=bool(layout.val))
            if config.folds is not None:
                rules = config.rules
                listing = list_images(Path(config.path or ""), no_progress, rules=rules)
                _check_fold_count(config, listing)
        case "mnist" | "fashion-mnist":
            find_set(config.source, config.path)
        case "cifar10" if config.path and exists(config.path):
            # A directory that does not exist is created by the download.
            if not is_directory(config.path):
                raise DataError(f"{config.path}: is not a directory; pass the one of CIFAR-10")


def _check_fold_count(config: DataConfig, listing: Listing) -> None:
    """Check that there are at least as many files to train on as folds.

    Files that marks leave out or that cannot be read are counted; whether they are enough without
    them turns out when the images are read.

    Raises:
        DataError: there are fewer.
    """
    if config.folds is None:
        return
    count = listing.train_count
    if len(listing.files) == listing.train_count + listing.val_count:
        labels = Counter(file.label for file in listing.files[: listing.train_count])
        count -= sum(held_out_counts(list(labels.values()), config.test_fraction, reserve=2))
    if count < config.folds:
        raise DataError(
            f"{listing.root}: {count} training images are too few for data.folds = {config.folds}; "
            f"use at most {count}"
        )
