"""The cache of decoded image folders: reuse and invalidation."""

import os
import time

import pytest
import torch

from cached_folders import cache_files, save
from cnn_engine.data import cache, waiting
from cnn_engine.data.decode import Unreadable
from cnn_engine.data.sources import folder
from cnn_engine.errors import DataError
from photos_for_tests import load_folder
from terminal import cnn_tui


def test_second_load_decodes_nothing(pets, decoded):
    first = load_folder(pets)
    assert len(decoded) == 20
    second = load_folder(pets)
    assert len(decoded) == 20
    assert torch.equal(first.images, second.images)
    assert torch.equal(first.labels, second.labels)
    assert (first.classes, first.notices) == (second.classes, ())
    assert [path.suffix for path in cache_files()] == [".pixels"]


def test_automatic_and_explicit_size_share_an_entry(pets, decoded):
    load_folder(pets, image_size=None)
    assert load_folder(pets, image_size=None).images.shape == (20, 16, 16, 3)
    assert load_folder(pets, image_size=16).images.shape == (20, 16, 16, 3)
    assert len(decoded) == 20


def test_other_sizes_channels_and_fits_have_their_own_entries(pets, decoded):
    load_folder(pets)
    assert load_folder(pets, image_size=8).images.shape == (20, 8, 8, 3)
    assert load_folder(pets, channels=1).images.shape == (20, 16, 16, 1)
    assert load_folder(pets, fit="pad").images.shape == (20, 16, 16, 3)
    assert load_folder(pets).images.shape == (20, 16, 16, 3)
    assert len(decoded) == 80


def added(pets):
    save(pets / "cat" / "new.png", 1)


def removed(pets):
    (pets / "cat" / "3.png").unlink()


def altered(pets):
    save(pets / "cat" / "3.png", 99)


def altered_with_the_old_time(pets):
    path = pets / "cat" / "3.png"
    before = path.stat()
    save(path, 13)
    assert path.stat().st_size == before.st_size
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def renamed_class(pets):
    (pets / "cat").rename(pets / "lynx")


def moved(pets):
    (pets / "cat" / "3.png").rename(pets / "dog" / "cat.png")


CHANGES = {
    added: 1,
    removed: 0,
    altered: 1,
    altered_with_the_old_time: 1,
    renamed_class: 10,
    moved: 1,
}
"""Number of files that are decoded again after each change."""


@pytest.mark.parametrize("change", CHANGES)
def test_changed_files_are_decoded_again(pets, decoded, change):
    load_folder(pets)
    before = len(decoded)
    change(pets)
    after = load_folder(pets)
    assert len(decoded) - before == CHANGES[change]
    cache.clear()
    fresh = load_folder(pets)
    assert (after.classes, after.images.tolist()) == (fresh.classes, fresh.images.tolist())


def cut_short(content):
    return content[:-1]


def lengthened(content):
    return content + b"\0"


def emptied(_):
    return b""


def without_pixels(content):
    return content[1000:]


def index_overwritten(content):
    return content.replace(b'"shape"', b'"shame"')


def index_torn(content):
    return content.replace(b'{"folder"', b'["folder"')


def shape_changed(content):
    return content.replace(b"[20, 16, 16, 3]", b"[21, 16, 16, 3]")


@pytest.mark.parametrize(
    "damage",
    [
        cut_short,
        lengthened,
        emptied,
        without_pixels,
        index_overwritten,
        index_torn,
        shape_changed,
    ],
)
def test_damaged_entry_is_decoded_again(pets, decoded, damage):
    first = load_folder(pets)
    (entry,) = cache_files()
    content = entry.read_bytes()
    entry.unlink()  # `first` has the old file mapped
    entry.write_bytes(damage(content))
    assert entry.read_bytes() != content
    assert torch.equal(load_folder(pets).images, first.images)
    assert len(decoded) == 40
    load_folder(pets)
    assert len(decoded) == 40


def test_writing_to_images_does_not_change_the_entry(pets):
    for _ in range(2):  # decoded, then read from the cache
        images = load_folder(pets).images
        assert images[0, 0, 0, 0] == 10
        images.zero_()


def test_unreadable_files_are_cached(pets, decoded):
    for name in ("cat/00.png", "cat/5a.png", "dog/99.png"):
        (pets / name).write_bytes(b"x")
    with pytest.raises(DataError, match="3 of 23"):
        load_folder(pets)
    first = load_folder(pets, unreadable="skip")
    assert len(decoded) == 23
    assert len(first.images) == len(first.labels) == 20
    # Skipped files do not shift the labels of later images.
    reds = first.images[:, 0, 0, 0]
    assert reds.tolist() == [*range(10, 20), *range(200, 210)]
    assert torch.equal(first.labels, (reds >= 200).long())
    assert [line.rpartition("/")[2].split(":")[0] for line in first.skipped] == [
        "00.png",
        "5a.png",
        "99.png",
    ]


def test_files_with_transient_read_errors_are_read_again(pets, decoded, monkeypatch):
    real = folder.decode

    def fail(path, *arguments):
        if path.endswith("3.png"):
            raise Unreadable("Input/output error", is_permanent=False)
        return real(path, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr(folder, "decode", fail)
        first = load_folder(pets, unreadable="skip").images
        assert len(first) == len(decoded) == 18
    assert len(load_folder(pets, unreadable="skip").images) == 20
    assert sorted(path.rpartition("/")[2] for path in decoded[18:]) == ["3.png", "3.png"]
    assert first[3, 0, 0, 0] == 14, "the images of the first run have changed"


def test_stop_leaves_no_file(pets, monkeypatch):
    monkeypatch.setattr(waiting, "PROGRESS_SECONDS", 0.001)
    monkeypatch.setattr(folder, "decode", lambda *_, **__: time.sleep(0.02))

    def stop(*_):
        raise InterruptedError

    with pytest.raises(InterruptedError):
        load_folder(pets, stop)
    assert cache_files() == []


def test_non_unicode_names_are_distinguished(tmp_path, decoded):
    root = tmp_path / "\udcfe\x1b[2J"
    for name in ("\udcff", "a\nb"):
        (root / name).mkdir(parents=True)
        for number in range(10):
            save(root / name / f"{name}{number}.png", number)
    first = load_folder(root)
    assert load_folder(root).classes == first.classes
    assert len(decoded) == 20
    (root / "a\nb").rename(root / "a\udcf0b")
    load_folder(root)
    assert len(decoded) == 30
    result = cnn_tui("data")
    assert r"\udcfe\x1b[2J" in result.stdout
    assert "\x1b" not in result.stdout
