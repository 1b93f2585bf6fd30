"""A data set in memory: loaded, resized, split and checked according to the config."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from cnn_engine.config.schema import DataConfig
from cnn_engine.data.applied_marks import apply_marks
from cnn_engine.data.marks import MarksFile
from cnn_engine.data.raw import RawImages
from cnn_engine.data.sources import cifar10, idx
from cnn_engine.data.split import split
from cnn_engine.data.split_sizes import missing_classes_text, small_classes_text
from cnn_engine.errors import ConfigError, DataError
from cnn_engine.progress import Progress
from cnn_engine.texts import listed

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in the luminance (ITU-R BT.601)."""

FINGERPRINT_IMAGES = 1_000
"""Images in a fingerprint: hashing all would take as long as reading them."""

SAMPLE_IMAGES = 500
"""Training images in a sample, whose properties are taken for those of all."""

CHUNK_VALUES = 2**23
"""Values resized at a time, to bound the memory of float copies."""


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """All images in one tensor, which may be memory-mapped, and their split."""

    images: Tensor
    """uint8 [N, S, S, C], with C = 1 or 3."""

    labels: Tensor
    """int64 [N], with the changes of marks."""

    classes: tuple[str, ...]
    """Class names, in the order of the labels."""

    train: Tensor
    """int64 indices of the training images."""

    val: Tensor
    """int64 indices of the validation images."""

    test: Tensor
    """int64 indices of the test images. Dropped images are in no split."""

    source: str
    """Description of the images and their location, one line."""

    paths: tuple[str, ...]
    """File of each image, relative to the folder; empty if the images are not separate files."""

    files_digest: str = ""
    """SHA-256 of the paths and sizes of these files; empty if there are none."""

    relabelled: Mapping[int, int] = field(default_factory=dict)
    """Given labels of images that marks relabel, by index."""

    marks: str = ""
    """Numbers of images dropped and relabelled by marks, and a digest; empty if there are none."""

    decoding: Mapping[str, str] = field(default_factory=dict)
    """Versions of the programs that have decoded the files, by name; see `DECODING_NAMES`."""

    skipped: tuple[str, ...]
    """Unreadable files that were skipped, each with the reason."""

    notices: tuple[str, ...]
    """Messages to the user about reading the images."""

    @property
    def given_labels(self) -> Tensor:
        """Labels as the source has them, int64 [N]."""
        labels = self.labels.clone()
        for index, label in self.relabelled.items():
            labels[index] = label
        return labels

    def name_of(self, index: int) -> str:
        """Return an image's file, or its number, counted from 1."""
        return self.paths[index] if self.paths else f"image {index + 1}"

    def train_counts(self) -> tuple[int, ...]:
        """Return the number of training images per class."""
        return self.counts(self.train)

    def counts(self, indices: Tensor) -> tuple[int, ...]:
        """Return the number of images per class among those at `indices`, int64 [M]."""
        return tuple(torch.bincount(self.labels[indices], minlength=len(self.classes)).tolist())

    def train_sample(self) -> Tensor:
        """Return the indices of at most `SAMPLE_IMAGES` training images, int64 [M]."""
        return self.train[:: -(-len(self.train) // SAMPLE_IMAGES)]

    def brightness(self) -> tuple[float, float]:
        """Return mean and standard deviation of the training images' mean values, 0 to 1."""
        # One by one, as they may be large.
        means = [self.images[index].float().mean() / 255 for index in self.train_sample()]
        return torch.stack(means).mean().item(), torch.stack(means).std(correction=0).item()

    def fingerprint(self) -> str:
        """Return the SHA-256 of the labels, the split and a sample of the images."""
        sample = self.images[:: max(1, len(self.images) // FINGERPRINT_IMAGES)]
        digest = hashlib.sha256()
        for values in (self.labels, self.train, self.val, self.test, sample):
            digest.update(values.contiguous().numpy().tobytes())
        return digest.hexdigest()

    def files_fingerprint(self) -> str:
        """Return the SHA-256 of labels, split, image size and files; empty if there are no files.

        Unlike `fingerprint`, it does not depend on the programs that decode the files.
        """
        if not self.files_digest:
            return ""
        digest = hashlib.sha256(f"{self.files_digest} {tuple(self.images.shape)}".encode())
        for values in (self.labels, self.train, self.val, self.test):
            digest.update(values.contiguous().numpy().tobytes())
        return digest.hexdigest()

    def train_digest(self) -> str:
        """Return the SHA-256 of the training images' names and labels, and of the classes."""
        names = (*self.classes, *map(self.name_of, self.train.tolist()))
        digest = hashlib.sha256("\0".join(names).encode(errors="backslashreplace"))
        digest.update(self.labels[self.train].numpy().tobytes())
        return digest.hexdigest()

    def test_fingerprint(self) -> str:
        """Return the SHA-256 of all test images, their labels and the classes."""
        digest = hashlib.sha256("\0".join(self.classes).encode(errors="backslashreplace"))
        digest.update(self.labels[self.test].numpy().tobytes())
        digest.update(repr(tuple(self.images.shape[1:])).encode())
        for indices in torch.split(self.test, max(1, CHUNK_VALUES // self.images[0].numel())):
            digest.update(self.images[indices].numpy().tobytes())
        return digest.hexdigest()


def load_dataset(
    config: DataConfig, seed: int, progress: Progress, marks: MarksFile | None = None
) -> DataSet:
    """Load, resize, split and check a data set.

    Marks are applied after the split, so that they do not move other images between splits.

    Args:
        config: Source, image size and split.
        seed: Seed of the validation split.
        progress: Called with the progress; may raise to abort.
        marks: Images to drop or relabel: `find_marks` for a new run, `find_run_marks` for another.

    Raises:
        DataError: images or labels are missing, damaged, or too few, or marks are invalid.
        ConfigError: the config does not fit the images.
    """
    raw = _read(config, progress)
    images = torch.from_numpy(raw.images)
    size, channels = config.image_size or images.shape[1], config.channels or images.shape[3]
    _check_normalization(config, channels)
    images = _resized(images, size, channels, progress)
    parts = split(raw, config, seed)
    data = DataSet(
        images=images,
        labels=torch.from_numpy(raw.labels),
        classes=raw.classes,
        train=parts.train,
        val=parts.val,
        test=parts.test,
        source=raw.source,
        paths=raw.paths,
        files_digest=raw.files_digest,
        decoding=raw.decoding,
        skipped=raw.skipped,
        notices=raw.notices,
    )
    needed = ["train", *(["val"] if config.validation_fraction else []), "test"]
    _check(data, needed)
    notices = []
    if marks is not None:
        data, text = _marked(data, marks)
        _check(data, needed, text)
        notices.append(text)
    if config.folds is not None:
        needed.remove("val")  # each fold has images of other classes
        notices.append(_small_classes_text(data, config.folds))
    notices += _missing_class_texts(data, needed)
    if raw.val_count and not config.validation_fraction:
        notices.append("the given validation images are not used: data.validation_fraction is 0")
    return replace(data, notices=(*raw.notices, *filter(None, notices)))


def _marked(data: DataSet, file: MarksFile) -> tuple[DataSet, str]:
    """Return the data set without dropped images and with changed labels, and a text about it.

    Raises:
        DataError: the marks are invalid.
    """
    given = data.labels.tolist()
    applied = apply_marks(file, data.paths, given, data.classes)
    labels, is_used = data.labels.clone(), torch.ones(len(given), dtype=torch.bool)
    for index, label in applied.labels.items():
        labels[index] = label
    is_used[list(applied.dropped)] = False
    test = data.test.tolist()
    marked = replace(
        data,
        labels=labels,
        relabelled={index: given[index] for index in applied.labels},
        marks=applied.identity(test),
        train=data.train[is_used[data.train]],
        val=data.val[is_used[data.val]],
        test=data.test[is_used[data.test]],
    )
    return marked, applied.notice(test)


def _read(config: DataConfig, progress: Progress) -> RawImages:
    match config.source:
        case "cifar10":
            return cifar10.read(config.path, progress)
        case "mnist" | "fashion-mnist":
            return idx.read_set(config.source, config.path)
        case "digits":
            return idx.read_digits()
        case "folder" | "csv":
            # Imported here, as Pillow is slow to import.
            from cnn_engine.data.sources import folder  # noqa: PLC0415

            return folder.read(config, progress)


def _resized(images: Tensor, size: int, channels: int, progress: Progress) -> Tensor:
    """Return images resized (bilinear, antialiased), uint8 [N, size, size, channels]."""
    count, side, _, source_channels = images.shape
    if (side, source_channels) == (size, channels):
        return images
    resized = torch.empty(count, size, size, channels, dtype=torch.uint8)
    chunk = max(1, CHUNK_VALUES // (3 * max(side, size) ** 2))
    for first in range(0, count, chunk):
        progress("resizing images", first, count)
        planes = images[first : first + chunk].permute(0, 3, 1, 2).float()
        planes = _in_channels(planes, channels)
        if side != size:
            planes = interpolate(planes, (size, size), mode="bilinear", antialias=True)
        resized[first : first + chunk] = planes.round().clamp(0, 255).permute(0, 2, 3, 1)
    return resized


def _in_channels(planes: Tensor, channels: int) -> Tensor:
    """Return float planes [n, channels, H, W]."""
    if planes.shape[1] == channels:
        return planes
    if channels == 3:
        return planes.expand(-1, 3, -1, -1)
    return (planes * torch.tensor(LUMA).view(3, 1, 1)).sum(dim=1, keepdim=True)


def _check_normalization(config: DataConfig, channels: int) -> None:
    for key in ("mean", "std"):
        count = len(getattr(config, key))
        if count not in (1, channels):
            raise ConfigError(
                f"data.{key}: has {count} values; give one, or {channels} for {channels} channels"
            )


def _check(data: DataSet, needed: Sequence[str], marks: str = "") -> None:
    """Check that every split and every class has images.

    Args:
        data: The data set.
        needed: Names of the splits that must have images.
        marks: Text on the marks that have removed images; empty without any.

    Raises:
        DataError: there are too few images.
    """
    for part in needed:
        if not len(getattr(data, part)):
            name = "validation" if part == "val" else part
            raise DataError(
                f"{data.source}: {len(data.images)} images are too few for a {name} split; add "
                "images, or change data.validation_fraction and data.test_fraction"
                + (f" ({marks})" if marks else "")
            )
    counts = zip(data.classes, data.train_counts(), strict=True)
    if missing := [name for name, count in counts if not count]:
        names = listed([*map(repr, missing)])
        raise DataError(
            f"{data.source}: {len(missing)} of {len(data.classes)} classes have no image left to "
            f"train on ({names}); add images" + (f", or drop fewer ({marks})" if marks else "")
        )


def _small_classes_text(data: DataSet, folds: int) -> str:
    """Return a text on classes with fewer images to train on and validate than folds, or empty."""
    both = zip(data.counts(data.train), data.counts(data.val), strict=True)
    counts = zip(data.classes, map(sum, both), strict=True)
    return small_classes_text(dict(counts), folds)


def _missing_class_texts(data: DataSet, parts: Sequence[str]) -> Iterator[str]:
    """Yield a text for each part in which classes have no image."""
    for part in parts:
        counts = zip(data.classes, data.counts(getattr(data, part)), strict=True)
        if text := missing_classes_text(dict(counts), part):
            yield text
