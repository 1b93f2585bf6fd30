"""IDX files, the format of MNIST and Fashion-MNIST, gzipped or not.

Two zero bytes, the type (8: unsigned byte), the number of dimensions, each dimension as a
big-endian 32-bit integer, then the values (Y. LeCun, C. Cortes, C. Burges, "The MNIST database").
"""

import gzip
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cnn_engine.config.paths import is_file
from cnn_engine.data.raw import Pixels, RawImages, search_directories
from cnn_engine.errors import DataError

UNSIGNED_BYTE = 8

DIGITS = tuple("0123456789")

FASHION = (
    "T-shirt",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
"""Class names of Fashion-MNIST (H. Xiao, K. Rasul, R. Vollgraf, 2017), the first shortened."""

SETS = {
    # source: (name, class names, torchvision's folder, system directories)
    "mnist": ("MNIST", DIGITS, "MNIST/raw", ()),
    "fashion-mnist": (
        "Fashion-MNIST",
        FASHION,
        "FashionMNIST/raw",
        (Path("/usr/share/datasets/fashion-mnist"),),  # Debian's dataset-fashion-mnist
    ),
}


def read_set(source: str, path: str | None) -> RawImages:
    """Read MNIST or Fashion-MNIST from a directory, or from its usual locations.

    Raises:
        DataError: it is missing, or a file is damaged.
    """
    name, classes, _, _ = SETS[source]
    directory = find_set(source, path)
    train, train_labels = _read_pair(directory, "train", len(classes))
    test, test_labels = _read_pair(directory, "t10k", len(classes))
    return RawImages(
        images=np.concatenate([train, test]),
        labels=np.concatenate([train_labels, test_labels]),
        classes=classes,
        train_count=len(train),
        source=f"{name} in {directory}",
    )


def find_set(source: str, path: str | None) -> Path:
    """Return the directory of the files of MNIST or Fashion-MNIST.

    Raises:
        DataError: there are none.
    """
    name, _, folder, system_directories = SETS[source]
    candidates = [parent / inner for parent in search_directories(path) for inner in ("", folder)]
    candidates += [] if path else system_directories
    directory = next((found for found in candidates if _find(found, "train-images", 3)), None)
    if directory is None:
        searched = ", ".join(map(str, candidates))
        raise DataError(
            f"{name}: no train-images-idx3-ubyte[.gz] in {searched}; put the four IDX files of "
            f"{name} into a directory and pass it with --data-dir"
        )
    return directory


def read_digits() -> RawImages:
    """Return the bundled data set: 1,797 grey handwritten digits (UCI), 8×8 pixels."""
    directory = Path(__file__).parent / "digits"
    images, labels = _read_pair(directory, "digits", len(DIGITS))
    return RawImages(
        images=images,
        labels=labels,
        classes=DIGITS,
        train_count=len(images),
        source="handwritten digits (UCI), bundled",
    )


def _read_pair(directory: Path, stem: str, class_count: int) -> tuple[Pixels, NDArray[np.int64]]:
    """Return images, uint8 [N, S, S, 1], and their labels, int64 [N]."""
    image_file, label_file = (
        _find(directory, f"{stem}-{kind}", dimensions) or _missing(directory, stem, kind)
        for kind, dimensions in (("images", 3), ("labels", 1))
    )
    images, labels = read_idx(image_file, 3), read_idx(label_file, 1)
    if len(images) != len(labels):
        raise DataError(
            f"{label_file}: has {len(labels):,} labels for the {len(images):,} images of "
            f"{image_file.name}"
        )
    if images.shape[1] != images.shape[2] or not images.shape[1]:
        raise DataError(
            f"{image_file}: images of {images.shape[1:]} pixels; only square images are supported"
        )
    if len(labels) and labels.max() >= class_count:
        raise DataError(
            f"{label_file}: has label {labels.max()}; the {class_count} classes are labelled "
            f"0 to {class_count - 1}"
        )
    return images[..., np.newaxis], labels.astype(np.int64)


def _find(directory: Path, stem: str, dimensions: int) -> Path | None:
    """Return the file named `-idx3-ubyte` or `.idx3-ubyte`, gzipped or not; None without one."""
    names = (f"{stem}{dash}idx{dimensions}-ubyte{gz}" for dash in "-." for gz in ("", ".gz"))
    return next((directory / name for name in names if is_file(directory / name)), None)


def _missing(directory: Path, stem: str, kind: str) -> Path:
    raise DataError(f"{directory}: has no {stem}-{kind} file")


def read_idx(path: Path, dimensions: int) -> Pixels:
    """Return the values of an IDX file of unsigned bytes, in its shape.

    Raises:
        DataError: it is damaged, or has another type or number of dimensions.
    """
    content = _content(path)
    header = 4 + 4 * dimensions
    if len(content) < header:
        raise DataError(f"{path}: is cut short: {len(content)} bytes, less than its header")
    if content[:4] != bytes([0, 0, UNSIGNED_BYTE, dimensions]):
        raise DataError(
            f"{path}: starts with {content[:4].hex()}; an IDX file of bytes in {dimensions} "
            f"dimensions starts with 0000{UNSIGNED_BYTE:02x}{dimensions:02x}"
        )
    shape = tuple(np.frombuffer(content, ">u4", dimensions, offset=4).tolist())
    expected = int(np.prod(shape, dtype=object))
    if len(content) - header != expected:
        raise DataError(
            f"{path}: contains {len(content) - header:,} values; its header says {expected:,}"
        )
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape).copy()


def _content(path: Path) -> bytes:
    try:
        return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path}: is damaged: {error}") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
