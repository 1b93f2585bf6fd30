"""CIFAR-10 (A. Krizhevsky, 2009), in the python or the binary layout, verified by checksum."""

import hashlib
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cnn_engine.data.raw import Pixels, RawImages, search_directories
from cnn_engine.data.sources.download import ARCHIVE, UNPACKED, download_cifar10
from cnn_engine.errors import DataError
from cnn_engine.progress import Progress

CLASSES = (
    "plane",
    "vehicle",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
"""Class names in label order, as in the published procedure."""

PYTHON_MD5 = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
}
"""MD5 checksums, from torchvision.datasets.CIFAR10."""

BINARY_SHA1 = {
    "data_batch_1.bin": "da09f891072747be90e69e4f00ba7cba870dc87e",
    "data_batch_2.bin": "7e958840b7a55df3353574298ebc9ca0e4bba48e",
    "data_batch_3.bin": "5259a3e9674ffdf2d5c33a1067f7192ff06c9e2f",
    "data_batch_4.bin": "301e7d16d78428f13262e87a5bc78ed45b8224aa",
    "data_batch_5.bin": "51fe428dfbdd065852912743ae8b7b63bb1e9d8d",
    "test_batch.bin": "e3f3b4653f18f27ada1558cabc3352a3ed1b25cc",
}
"""Git blob ids of the files (SHA-1 of a header and the content), as in public repositories such as
JanHalozan/ConvolutionalNeuralNetwork."""

RECORD_BYTES = 1 + 3 * 32 * 32
"""A label, then the planes of red, green and blue."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """One of the two file layouts in which CIFAR-10 is distributed."""

    name: str
    directory: str
    checksums: dict[str, str]
    checksum: Callable[[bytes], str]
    parse: Callable[[bytes], tuple[Pixels, list[int]]]


def read(path: str | None, progress: Progress) -> RawImages:
    """Read CIFAR-10 from disk, or download it if it is missing or incomplete.

    Args:
        path: Directory to search; None for the default ones.
        progress: Called with the progress; may raise to abort.

    Raises:
        DataError: it is not complete on disk and cannot be downloaded; names damaged files.
    """
    problems: list[str] = []
    for parent in search_directories(path):
        for layout in (PYTHON, BINARY):
            directory = _directory(parent, layout)
            if directory is None:
                continue
            raw = _read_layout(directory, layout, progress, problems)
            if raw is not None:
                return raw
    target = _download_target(path)
    try:
        download_cifar10(target, progress)
    except DataError as error:
        raise DataError("; ".join([*problems, str(error)])) from None
    raw = _read_layout(target / PYTHON.directory, PYTHON, progress, problems)
    if raw is None:
        raise DataError("; ".join(problems))
    return raw


def is_on_disk(path: str | None) -> bool:
    """Return True if at least one CIFAR-10 file exists in the directories that `read` searches."""
    return any(
        _directory(parent, layout)
        for parent in search_directories(path)
        for layout in (PYTHON, BINARY)
    )


def _download_target(path: str | None) -> Path:
    """Return the directory that contains a downloaded archive, else that for downloads."""
    *_, last = directories = search_directories(path)
    return next((found for found in directories if (found / ARCHIVE).is_file()), last)


def _directory(parent: Path, layout: Layout) -> Path | None:
    """Return the directory with files of the layout, a subdirectory or `parent`; None without."""
    for directory in (parent / layout.directory, parent):
        if any((directory / name).is_file() for name in layout.checksums):
            return directory
    return None


def _read_layout(
    directory: Path, layout: Layout, progress: Progress, problems: list[str]
) -> RawImages | None:
    """Read all files; on errors return None and add them to `problems`."""
    layout_problems, images, labels = [], [], []
    for done, (name, checksum) in enumerate(layout.checksums.items()):
        progress("reading CIFAR-10", done, len(layout.checksums))
        try:
            content = (directory / name).read_bytes()
        except OSError as error:
            layout_problems.append(f"{directory / name}: {error.strerror}")
            continue
        if layout.checksum(content) != checksum:
            size = f"{len(content):,} bytes"
            layout_problems.append(f"{directory / name}: is damaged or cut short ({size})")
            continue
        batch_images, batch_labels = layout.parse(content)
        images.append(batch_images)
        labels += batch_labels
    problems += layout_problems
    if layout_problems:
        return None
    return RawImages(
        images=np.ascontiguousarray(np.concatenate(images).transpose(0, 2, 3, 1)),
        labels=np.array(labels, dtype=np.int64),
        classes=CLASSES,
        train_count=sum(len(batch) for batch in images[:-1]),
        source=f"CIFAR-10 in {directory} ({layout.name} files)",
    )


def _parse_python(content: bytes) -> tuple[Pixels, list[int]]:
    # Unpickling can run any code, but the checksum has shown that this is the published file.
    batch = pickle.loads(content, encoding="latin1")  # noqa: S301
    return batch["data"].reshape(-1, 3, 32, 32), batch["labels"]


def _parse_binary(content: bytes) -> tuple[Pixels, list[int]]:
    records = np.frombuffer(content, np.uint8).reshape(-1, RECORD_BYTES)
    return records[:, 1:].reshape(-1, 3, 32, 32), records[:, 0].tolist()


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def _git_sha1(content: bytes) -> str:
    header = f"blob {len(content)}\0".encode()
    return hashlib.sha1(header + content, usedforsecurity=False).hexdigest()


PYTHON = Layout(
    name="python",
    directory=UNPACKED,
    checksums=PYTHON_MD5,
    checksum=_md5,
    parse=_parse_python,
)
BINARY = Layout(
    name="binary",
    directory="cifar-10-batches-bin",
    checksums=BINARY_SHA1,
    checksum=_git_sha1,
    parse=_parse_binary,
)
