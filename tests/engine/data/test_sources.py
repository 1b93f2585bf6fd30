"""Data sources: reading, resizing and splitting of images, and errors for damaged files."""

import gzip
import hashlib
import pickle
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import interpolate

from cnn_engine.config.schema import DataConfig
from cnn_engine.data import dataset
from cnn_engine.data.dataset import load_dataset
from cnn_engine.data.sources import cifar10, idx
from cnn_engine.errors import ConfigError, DataError

FASHION = Path("/usr/share/datasets/fashion-mnist")


def ignore_progress(*_):
    """Do nothing."""


def load_from(source, path=None, seed=0, **changes):
    return load_dataset(
        DataConfig(source=source, path=path and str(path), **changes), seed, ignore_progress
    )


# The bundled digits.


def test_digits_equal_those_of_scikit_learn():
    datasets = pytest.importorskip("sklearn.datasets")
    original = datasets.load_digits()
    raw = idx.read_digits()
    expected = np.round(original.images * (255 / 16)).astype(np.uint8)
    assert np.array_equal(raw.images[..., 0], expected)
    assert np.array_equal(raw.labels, original.target)


@pytest.mark.skipif("ng" in zlib.ZLIB_RUNTIME_VERSION, reason="zlib-ng compresses differently")
def test_bundled_digits_equal_output_of_build_tool(tmp_path):
    pytest.importorskip("sklearn.datasets")
    tool = Path(__file__).parents[3] / "engine" / "tools" / "build_digits.py"
    subprocess.run([sys.executable, tool, tmp_path], check=True)
    built = sorted(tmp_path.iterdir())
    assert len(built) == 2
    bundled = Path(idx.__file__).parent / "digits"
    for path in built:
        assert path.read_bytes() == (bundled / path.name).read_bytes()


def test_digits_are_upscaled_and_split():
    data = load_from("digits", image_size=32)
    assert data.images.shape == (1797, 32, 32, 1)
    assert data.images.dtype == torch.uint8
    assert (len(data.train), len(data.val), len(data.test)) == (1151, 287, 359)
    indices = torch.cat([data.train, data.val, data.test])
    assert torch.equal(indices.sort().values, torch.arange(1797))
    small = load_from("digits")
    assert small.images.shape == (1797, 8, 8, 1)
    upscaled_mean = data.images.float().mean()
    assert upscaled_mean == pytest.approx(small.images.float().mean().item(), rel=0.02)


def test_seed_selects_validation_images_but_not_test_images():
    first, second, repeated = (load_from("digits", seed=seed) for seed in (1, 2, 1))
    assert torch.equal(first.test, second.test)
    assert not torch.equal(first.val, second.val)
    assert torch.equal(first.val, repeated.val)


def test_grey_becomes_colour_and_back():
    grey = load_from("digits")
    colour = load_from("digits", channels=3)
    assert colour.images.shape == (1797, 8, 8, 3)
    assert torch.equal(colour.images[..., 0:1], grey.images)
    assert torch.equal(colour.images[..., 2:3], grey.images)


def test_resizing_is_chunked_and_can_be_stopped(monkeypatch):
    largest = 0

    def interpolate_and_record(planes, *args, **kwargs):
        nonlocal largest
        largest = max(largest, len(planes))
        return interpolate(planes, *args, **kwargs)

    monkeypatch.setattr(dataset, "interpolate", interpolate_and_record)
    load_from("digits", image_size=256)
    assert largest * 256**2 * 4 <= 32 * 2**20

    def stop(label, *_):
        if label == "resizing images":
            raise InterruptedError

    with pytest.raises(InterruptedError):
        load_dataset(DataConfig(source="digits", image_size=32), 0, stop)


@pytest.mark.parametrize("key", ["mean", "std"])
def test_mean_and_std_must_match_the_channels(key):
    load_from("digits", channels=3, **{key: (0.1, 0.2, 0.3)})
    with pytest.raises(ConfigError, match=f"data.{key}: has 3 values"):
        load_from("digits", **{key: (0.1, 0.2, 0.3)})


# IDX files.


def idx_bytes(values, *, magic=None):
    values = np.asarray(values, dtype=np.uint8)
    header = magic or bytes([0, 0, 8, values.ndim])
    return header + struct.pack(f">{values.ndim}I", *values.shape) + values.tobytes()


@pytest.fixture
def mnist(tmp_path):
    """Create a small data set in MNIST's format: 60 training and 20 test images."""
    generator = np.random.default_rng(0)
    for stem, count in (("train", 60), ("t10k", 20)):
        images = generator.integers(0, 256, (count, 12, 12))
        (tmp_path / f"{stem}-images-idx3-ubyte").write_bytes(idx_bytes(images))
        (tmp_path / f"{stem}-labels-idx1-ubyte").write_bytes(idx_bytes(np.arange(count) % 10))
    return tmp_path


def test_mnist_is_read_plain_or_gzipped_and_with_either_name(mnist):
    plain = load_from("mnist", mnist)
    assert plain.images.shape == (80, 12, 12, 1)
    assert len(plain.train) + len(plain.val) == 60
    assert torch.equal(plain.test, torch.arange(60, 80))
    for path in list(mnist.iterdir()):
        zipped = path.with_name(path.name.replace("-idx", ".idx") + ".gz")
        zipped.write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    assert torch.equal(load_from("mnist", mnist).images, plain.images)


def test_torchvision_layout_is_found(mnist, tmp_path_factory):
    root = tmp_path_factory.mktemp("root")
    (root / "MNIST").mkdir()
    mnist.rename(root / "MNIST" / "raw")
    assert load_from("mnist", root).classes == tuple("0123456789")


@pytest.mark.skipif(not FASHION.is_dir(), reason="Debian's dataset-fashion-mnist is not installed")
def test_debian_fashion_mnist_is_found(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    data = load_from("fashion-mnist")
    assert data.images.shape == (70_000, 28, 28, 1)
    assert (len(data.train), len(data.val), len(data.test)) == (48_000, 12_000, 10_000)
    assert torch.bincount(data.labels[data.test]).tolist() == [1000] * 10
    assert data.classes[9] == "Ankle boot"


def test_missing_data_error_lists_searched_directories(tmp_path):
    with pytest.raises(DataError, match=r"MNIST: no train-images.*--data-dir") as caught:
        load_from("mnist", tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert caught.value.exit_code == 3


IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (IMAGES, b"", "cut short: 0 bytes"),
        (IMAGES, idx_bytes(np.zeros((60, 12, 12)))[:-1], "8,639 values; its header says 8,640"),
        (IMAGES, idx_bytes(np.zeros((60, 12, 12))) + b"x", "8,641 values; its header says 8,640"),
        (IMAGES, idx_bytes(np.zeros((60, 12, 12)), magic=b"\0\0\x0d\3"), "starts with 00000d03"),
        (IMAGES, b"\xff" * 40, "starts with ffffffff"),
        (IMAGES, b"\0\0\x08\3" + b"\xff" * 12, "contains 0 values; its header says"),
        (IMAGES, idx_bytes(np.zeros((60, 12, 10))), "only square images are supported"),
        (IMAGES, idx_bytes(np.zeros((60, 0, 0))), "only square images are supported"),
        (LABELS, idx_bytes([77] * 60), "has label 77; the 10 classes"),
        (LABELS, idx_bytes([1] * 59), "59 labels for the 60 images"),
    ],
)
def test_damaged_idx_file_is_named_in_error(mnist, name, content, message):
    (mnist / name).write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        load_from("mnist", mnist)
    assert name in str(caught.value)


@pytest.mark.parametrize("damage", ["cut", "crc", "none"])
def test_damaged_gzip_file_is_named_in_error(mnist, damage):
    path = mnist / LABELS
    zipped = bytearray(gzip.compress(path.read_bytes()))
    path.unlink()
    if damage == "cut":
        zipped = zipped[:-12]
    elif damage == "crc":
        zipped[-6] ^= 1
    path.with_name(path.name + ".gz").write_bytes(zipped)
    if damage == "none":
        load_from("mnist", mnist)
        return
    with pytest.raises(DataError, match=rf"{LABELS}\.gz: is damaged"):
        load_from("mnist", mnist)


def test_missing_idx_file_is_named_in_error(mnist):
    (mnist / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match="has no t10k-labels file"):
        load_from("mnist", mnist)


def test_too_few_images_are_refused_before_training(mnist):
    (mnist / LABELS).write_bytes(idx_bytes([3] * 60))
    with pytest.raises(DataError, match="9 of 10 classes have no image left to train on"):
        load_from("mnist", mnist)


# CIFAR-10. The original files have 180 MB; these are small files in the same format, with their
# own checksums in place of the published ones.


@pytest.fixture
def batches(monkeypatch):
    """Return the contents of the six files in both layouts, and patch the checksums."""
    generator = np.random.default_rng(0)
    python, binary = {}, {}
    for name in cifar10.PYTHON_MD5:
        pixels = generator.integers(0, 256, (20, 3072), dtype=np.uint8)
        labels = [number % 10 for number in range(20)]
        python[name] = pickle.dumps({"data": pixels, "labels": labels})
        records = np.concatenate([np.array(labels, np.uint8)[:, None], pixels], axis=1)
        binary[f"{name}.bin"] = records.tobytes()
    for name, content in python.items():
        monkeypatch.setitem(cifar10.PYTHON_MD5, name, hashlib.md5(content).hexdigest())
    for name, content in binary.items():
        blob = b"blob %d\0" % len(content) + content
        monkeypatch.setitem(cifar10.BINARY_SHA1, name, hashlib.sha1(blob).hexdigest())
    return {"cifar-10-batches-py": python, "cifar-10-batches-bin": binary}


def write_batches(directory, contents):
    directory.mkdir(parents=True)
    for name, content in contents.items():
        (directory / name).write_bytes(content)


def test_both_cifar_layouts_give_the_same_images(batches, tmp_path):
    loaded = []
    for layout, contents in batches.items():
        root = tmp_path / layout[-2:]
        write_batches(root / layout, contents)
        loaded.append(load_from("cifar10", root))
        assert torch.equal(load_from("cifar10", root / layout).images, loaded[-1].images)
    one, other = loaded
    assert one.images.shape == (120, 32, 32, 3)
    assert torch.equal(one.images, other.images)
    assert torch.equal(one.labels, other.labels)
    assert torch.equal(one.test, torch.arange(100, 120))
    assert one.classes[:2] == ("plane", "vehicle")
    first = pickle.loads(batches["cifar-10-batches-py"]["data_batch_1"])["data"][0]
    assert one.images[0, 5, 7].tolist() == [first[c * 1024 + 5 * 32 + 7] for c in range(3)]


def test_pickle_of_python_2_is_read(batches, tmp_path, monkeypatch):
    contents = batches["cifar-10-batches-py"]
    expected = [pickle.loads(content)["data"] for content in contents.values()]
    for name, pixels in zip(contents, expected, strict=True):
        contents[name] = python_2_batch(pixels, list(range(10)) * 2)
        md5 = hashlib.md5(contents[name]).hexdigest()
        monkeypatch.setitem(cifar10.PYTHON_MD5, name, md5)
    write_batches(tmp_path / "cifar-10-batches-py", contents)
    images = load_from("cifar10", tmp_path).images
    planes = np.concatenate(expected).reshape(-1, 3, 32, 32)
    assert np.array_equal(images.numpy(), planes.transpose(0, 2, 3, 1))


def python_2_batch(pixels, labels):
    """Return a pickle in the format of the published files, written by Python 2 and NumPy 1."""

    def number(value):
        return b"K%c" % value if 0 <= value < 256 else b"J" + struct.pack("<i", value)

    def text(value):
        return b"T" + struct.pack("<i", len(value)) + value

    new_array = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85" + text(b"b")
    new_dtype = b"cnumpy\ndtype\n" + text(b"u1") + number(0) + number(1) + b"\x87R"
    dtype_state = b"(K\3" + text(b"|") + b"NNN" + number(-1) + number(-1) + b"K\0tb"
    shape = number(len(pixels)) + number(pixels.shape[1]) + b"\x86"
    array_state = b"(K\1" + shape + new_dtype + dtype_state + b"\x89" + text(pixels.tobytes())
    numbers = b"](" + b"".join(map(number, labels)) + b"e"
    array = new_array + b"\x87R" + array_state + b"tb"
    return b"\x80\2}(" + text(b"labels") + numbers + text(b"data") + array + b"u."


@pytest.mark.parametrize("layout", ["cifar-10-batches-py", "cifar-10-batches-bin"])
@pytest.mark.parametrize("damage", ["flip", "cut", "missing"])
def test_damaged_cifar_file_is_named_in_error(batches, tmp_path, no_network, layout, damage):
    contents = dict(batches[layout])
    name = sorted(contents)[2]
    if damage == "flip":
        contents[name] = contents[name][:-1] + bytes([contents[name][-1] ^ 1])
    elif damage == "cut":
        contents[name] = contents[name][:1000]
    else:
        del contents[name]
    write_batches(tmp_path / layout, contents)
    with pytest.raises(DataError, match="CIFAR-10 cannot be downloaded") as caught:
        load_from("cifar10", tmp_path)
    assert str(tmp_path / layout / name) in str(caught.value)
    assert sorted(contents)[0] not in str(caught.value)


def test_pickle_with_another_checksum_is_not_loaded(batches, tmp_path, no_network):
    class Malicious:
        def __reduce__(self):
            return Path.touch, (tmp_path / "canary",)

    contents = dict(batches["cifar-10-batches-py"], data_batch_1=pickle.dumps(Malicious()))
    write_batches(tmp_path / "cifar-10-batches-py", contents)
    with pytest.raises(DataError, match="data_batch_1: is damaged"):
        load_from("cifar10", tmp_path)
    assert not (tmp_path / "canary").exists()
