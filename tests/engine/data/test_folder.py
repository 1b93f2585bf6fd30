"""Loading of image folders: mixed formats, damaged files, odd names."""

import os
import time

import numpy as np
import pytest
import torch
from PIL import Image

from cnn_engine.data import waiting
from cnn_engine.data.decode import Unreadable, decode
from cnn_engine.data.sizes import choose_image_size
from cnn_engine.data.sources import folder
from cnn_engine.errors import DataError
from photos_for_tests import HOSTILE_NAMES, decompression_bomb, load_folder, save_images


@pytest.fixture
def pets(tmp_path):
    save_images(tmp_path / "cat", shade=10)
    save_images(tmp_path / "dog", shade=200)
    return tmp_path


def test_class_folders_are_read_and_split(pets):
    data = load_folder(pets)
    assert data.classes == ("cat", "dog")
    assert data.images.shape == (20, 16, 16, 3)
    assert (len(data.train), len(data.val), len(data.test)) == (13, 3, 4)
    assert data.images[data.labels == 0][:, 0, 0, 0].unique().tolist() == [10]
    assert data.images[data.labels == 1][:, 0, 0, 0].unique().tolist() == [200]


def test_test_folder_is_the_test_set(tmp_path):
    for split, count in (("train", 10), ("test", 3)):
        save_images(tmp_path / split / "cat", count, shade=1)
        save_images(tmp_path / split / "dog", count, shade=2)
    data = load_folder(tmp_path)
    assert torch.equal(data.test, torch.arange(20, 26))
    save_images(tmp_path / "test" / "cow")
    with pytest.raises(DataError, match=r"test/cow: is not a class of the training images"):
        load_folder(tmp_path)


def test_train_folder_without_a_test_folder_is_split(tmp_path):
    save_images(tmp_path / "train" / "cat")
    save_images(tmp_path / "train" / "dog")
    assert len(load_folder(tmp_path).test) == 4


def test_images_are_resized_to_one_size(tmp_path):
    save_images(tmp_path / "cat", size=(40, 25), suffix=".jpg")
    save_images(tmp_path / "dog", size=(9, 300))
    assert load_folder(tmp_path, image_size=24, channels=1).images.shape == (20, 24, 24, 1)


def test_small_squares_of_one_size_are_not_resized(pets):
    data = load_folder(pets, image_size=None)
    assert data.images.shape[1] == 16
    assert data.notices == ()


def test_common_size_is_chosen_and_reported(pets):
    for number in range(20):
        Image.new("RGB", (120 + number, 70 + number)).save(pets / "dog" / f"large{number}.png")
    data = load_folder(pets, image_size=None)
    assert data.images.shape[1] == 32
    (notice,) = data.notices
    assert "images are resized to 32 × 32 pixels, as their sides range from 16 to 139" in notice
    assert load_folder(pets, image_size=None).notices == (notice,)  # also from the cache


@pytest.mark.parametrize(
    ("sizes", "side"),
    [
        ([(28, 28)] * 9, 28),
        ([(600, 600)] * 9, 128),
        ([(4000, 3000)] * 9, 128),
        ([(70, 60)] * 3 + [(500, 400)], 48),
        ([(500, 400)] * 7 + [(20, 20)], 128),
        ([(12, 9)] * 9, 32),
        ([(4, 4)] * 9, 32),
        ([], 32),
    ],
)
def test_three_quarters_of_images_reach_chosen_size(sizes, side):
    assert choose_image_size(sizes)[0] == side


@pytest.mark.parametrize(
    ("fit", "middle", "top"),
    [
        ("crop", [255] * 16, [255] * 16),
        ("pad", [0] * 4 + [255] * 8 + [0] * 4, [128] * 16),
        ("stretch", [0] * 4 + [255] * 8 + [0] * 4, [0] * 4 + [255] * 8 + [0] * 4),
    ],
)
def test_fit_option_makes_images_square(tmp_path, fit, middle, top):
    image = Image.new("L", (64, 32), 0)
    image.paste(255, (16, 0, 48, 32))  # the middle half is white
    image.save(tmp_path / "x.png")
    pixels = decode(tmp_path / "x.png", 16, 3, fit)
    blended = [0, 3, 4, 11, 12, 15]  # where resampling blends black and white
    for row, expected in ((8, middle), (0, top)):
        assert (
            np.delete(pixels[row, :, 0], blended).tolist() == np.delete(expected, blended).tolist()
        )


def test_progress_is_reported(pets, monkeypatch):
    reported = []
    monkeypatch.setattr(waiting, "PROGRESS_SECONDS", 0.01)
    real = folder.decode
    monkeypatch.setattr(folder, "decode", lambda *arguments: time.sleep(0.01) or real(*arguments))
    load_folder(pets, progress=lambda *progress: reported.append(progress))
    counts = [done for label, done, total in reported if (label, total) == ("decoding images", 20)]
    assert counts == sorted(counts)
    assert counts


def test_hidden_and_other_files_are_ignored(pets):
    (pets / ".cache").mkdir()
    (pets / "notes.txt").write_text("not a class")
    (pets / "cat" / "Thumbs.db").write_bytes(b"x")
    (pets / "cat" / "._000.png").write_bytes(b"x")
    assert len(load_folder(pets).images) == 20


def test_link_loops_end_and_linked_classes_are_read(pets, tmp_path_factory):
    (pets / "cat" / "again").symlink_to(pets / "cat")
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    save_images(elsewhere / "cows")
    (pets / "cow").symlink_to(elsewhere / "cows")
    data = load_folder(pets)
    assert data.classes == ("cat", "cow", "dog")
    assert len(data.images) == 30


def test_link_to_parent_is_not_a_class(pets):
    (pets / "again").symlink_to(pets)
    (pets / "up").symlink_to(pets.parent)
    assert load_folder(pets).classes == ("cat", "dog")


def test_class_may_be_named_train(tmp_path):
    save_images(tmp_path / "plane")
    save_images(tmp_path / "train")
    assert load_folder(tmp_path).classes == ("plane", "train")


# Errors.


def test_test_folder_beside_classes_is_refused(pets):
    save_images(pets / "test" / "cat")
    with pytest.raises(DataError, match=r"has test/ with class folders, but no such train/"):
        load_folder(pets)


def test_stop_does_not_wait_for_the_remaining_files(pets, monkeypatch):
    decoded = []

    def decode_slowly(path, *_, **__):
        decoded.append(path)
        time.sleep(0.2)
        return np.zeros((16, 16, 3), np.uint8)

    def stop(*_):
        raise InterruptedError

    monkeypatch.setattr(folder, "decode", decode_slowly)
    with pytest.raises(InterruptedError):
        load_folder(pets, progress=stop)
    assert len(decoded) < 20


def test_error_in_a_thread_is_raised(pets, monkeypatch):
    def fail(*_, **__):
        raise MemoryError

    monkeypatch.setattr(folder, "decode", fail)
    with pytest.raises(MemoryError):
        load_folder(pets)


@pytest.mark.parametrize("subfolder", ["cat", "cat/more", "."])
def test_unreadable_folder_is_named_in_error(pets, subfolder, monkeypatch):
    (pets / "cat" / "more").mkdir()
    refused, scandir, listdir = str((pets / subfolder).resolve()), os.scandir, os.listdir

    def refuse(real):
        def call(path):
            if str(path) == refused:
                raise PermissionError(13, "Permission denied", refused)
            return real(path)

        return call

    monkeypatch.setattr(os, "scandir", refuse(scandir))
    monkeypatch.setattr(os, "listdir", refuse(listdir))
    with pytest.raises(DataError, match=f"^{refused}: cannot be read: Permission denied"):
        load_folder(pets)


@pytest.mark.parametrize("name", ["nowhere", "file"])
def test_missing_folder_is_named_in_error(tmp_path, name):
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match=f"{name}: is not a folder"):
        load_folder(tmp_path / name)


def test_folder_without_classes_error_suggests_fix(tmp_path):
    with pytest.raises(DataError, match="contains no class folders; put the images of each class"):
        load_folder(tmp_path)


def test_empty_class_is_named_in_error(pets):
    (pets / "cow").mkdir()
    with pytest.raises(DataError, match="cow: contains no images"):
        load_folder(pets)


def test_single_class_is_refused(tmp_path):
    save_images(tmp_path / "cat")
    with pytest.raises(DataError, match="has only 1 class"):
        load_folder(tmp_path)


def test_one_image_per_class_is_refused(tmp_path):
    for name in ("cat", "cow", "dog", "emu", "fox", "gnu"):
        save_images(tmp_path / name, count=1)
    with pytest.raises(DataError, match="6 images are too few for a validation split"):
        load_folder(tmp_path)


def test_thousand_classes_are_read(tmp_path):
    for number in range(1000):
        folder = tmp_path / f"c{number:04}"
        folder.mkdir()
        for copy in range(12):
            (folder / f"{copy}.pgm").write_bytes(b"P5 8 8 255\n" + bytes(64))
    data = load_folder(tmp_path, image_size=8, channels=1, validation_fraction=0.1)
    assert len(data.classes) == 1000


def truncated_jpeg(folder):
    """Return half of a JPEG file, made in the folder."""
    path = folder / "complete.jpg"
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    content = path.read_bytes()
    path.unlink()
    return content[: len(content) // 2]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (lambda _: b"", "is empty"),
        (lambda _: b"GIF89a", "."),
        (lambda _: b"this is a text", "not an image"),
        (truncated_jpeg, "truncated"),
        (lambda _: decompression_bomb(), "too large"),
    ],
    ids=["empty", "header", "text", "truncated", "bomb"],
)
def test_unreadable_file_stops_run_or_is_skipped(pets, content, reason):
    bad = pets / "dog" / "bad.jpg"
    bad.write_bytes(content(pets))
    with pytest.raises(DataError, match=rf"1 of 21 image files .*bad\.jpg: .*({reason})") as caught:
        load_folder(pets)
    assert "data.unreadable=skip" in str(caught.value)
    data = load_folder(pets, unreadable="skip")
    assert len(data.images) == len(data.labels) == 20
    assert len(data.skipped) == 1
    assert str(bad) in data.skipped[0]


def test_ten_of_many_unreadable_files_are_listed(pets):
    for number in range(25):
        (pets / "dog" / f"bad{number:02}.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"25 of 45 .*bad09\.png.*; and 15 more") as caught:
        load_folder(pets)
    assert "bad10" not in str(caught.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read any file")
def test_unreadable_file_is_named_in_error(pets):
    (pets / "dog" / "000.png").chmod(0)
    with pytest.raises(DataError, match=r"000\.png: Permission denied"):
        load_folder(pets)


NAMES = [*HOSTILE_NAMES, "é" * 120]


def test_oddly_named_classes_and_files_are_read(tmp_path):
    for name in [*NAMES, "\udcff"]:
        save_images(tmp_path / name)
        (tmp_path / name / "000.png").rename(tmp_path / name / f"{name}.png")
    data = load_folder(tmp_path)
    assert set(data.classes) == {*NAMES, "\udcff"}


# Formats and modes of images.


def save_and_decode(tmp_path, image, name="image.png", channels=3, **options):
    """Save the image with these options of Pillow; return its decoded pixels, [16, 16, C]."""
    path = tmp_path / name
    image.save(path, **options)
    return decode(path, 16, channels)


def test_16_bit_values_are_scaled_not_clipped(tmp_path):
    wide = np.full((16, 16), 257 * 100, dtype=np.uint16)
    assert save_and_decode(tmp_path, Image.fromarray(wide), channels=1)[0, 0] == 100
    assert save_and_decode(tmp_path, Image.fromarray(wide))[0, 0].tolist() == [100, 100, 100]


def test_cmyk_becomes_rgb(tmp_path):
    pixel = save_and_decode(tmp_path, Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "c.jpg")[8, 8]
    assert pixel[0] > 200
    assert max(pixel[1:]) < 60


def test_transparency_becomes_white(tmp_path):
    image = Image.new("RGBA", (16, 16), (255, 0, 0, 0))
    assert save_and_decode(tmp_path, image)[0, 0].tolist() == [255, 255, 255]
    palette = Image.new("P", (16, 16), 0)
    palette.putpalette([255, 0, 0])
    assert save_and_decode(tmp_path, palette, "p.gif", transparency=0)[0, 0].tolist() == [
        255,
        255,
        255,
    ]


def test_first_frame_of_an_animation_is_decoded(tmp_path):
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue")]
    path = tmp_path / "a.gif"
    frames[0].save(path, save_all=True, append_images=frames[1:])
    assert decode(path, 16, 3)[0, 0].tolist() == [255, 0, 0]


def test_exif_rotation_is_applied(tmp_path):
    image = Image.new("L", (16, 16), 0)
    image.paste(255, (0, 0, 16, 4))  # white on top
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate clockwise by 90°: the white moves to the right
    rotated = save_and_decode(tmp_path, image, channels=1, exif=exif)[..., 0]
    assert rotated[:, -1].min() == 255
    assert rotated[:, 0].max() == 0


def test_center_square_is_kept(tmp_path):
    image = Image.new("L", (48, 16), 0)
    image.paste(255, (16, 0, 32, 16))
    assert save_and_decode(tmp_path, image, channels=1).min() == 255


def test_unresized_pixels_are_exact(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    assert np.array_equal(save_and_decode(tmp_path, Image.fromarray(pixels)), pixels)


def test_image_with_the_wrong_extension_is_decoded(tmp_path):
    Image.new("RGB", (16, 16), "red").save(tmp_path / "x.png")
    (tmp_path / "x.png").rename(tmp_path / "x.jpg")
    assert decode(tmp_path / "x.jpg", 16, 3)[0, 0].tolist() == [255, 0, 0]


def test_pipe_is_unreadable(tmp_path):
    os.mkfifo(tmp_path / "x.jpg")
    with pytest.raises(Unreadable, match="not a regular file"):
        decode(tmp_path / "x.jpg", 16, 3)


def test_pipe_among_images_is_skipped(pets):
    os.mkfifo(pets / "cat" / "x.jpg")
    data = load_folder(pets, unreadable="skip")
    assert len(data.images) == 20
    assert "not a regular file" in data.skipped[0]


def test_eps_named_jpg_does_not_start_ghostscript(tmp_path, monkeypatch):
    program = tmp_path / "gs"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/started\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    Image.new("RGB", (16, 16)).save(tmp_path / "x.eps")
    (tmp_path / "x.eps").rename(tmp_path / "x.jpg")
    with pytest.raises(Unreadable, match="unsupported format EPS"):
        decode(tmp_path / "x.jpg", 16, 3)
    assert not (tmp_path / "started").exists()


def test_memory_error_while_decoding_is_raised(tmp_path, monkeypatch):
    def fail(*_):
        raise MemoryError

    Image.new("RGB", (16, 16)).save(tmp_path / "x.png")
    monkeypatch.setattr(Image.Image, "getexif", fail)
    with pytest.raises(MemoryError):
        decode(tmp_path / "x.png", 16, 3)


def test_directory_named_like_an_image_is_unreadable(tmp_path):
    (tmp_path / "x.jpg").mkdir()
    with pytest.raises(Unreadable):
        decode(tmp_path / "x.jpg", 16, 3)
