"""The cache of decoded image folders: reuse, invalidation, concurrency, size limits."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import namedtuple

import pytest
import torch
from PIL import Image

from cnn_engine.data import cache, waiting
from cnn_engine.data.decode import Unreadable
from cnn_engine.data.sources import folder
from cnn_engine.errors import DataError
from cnn_engine.runlog.events import Notice
from cnn_engine.runs.directory import create_run
from cnn_engine.runs.recorder import Recorder
from cnn_engine.session.engine import Engine
from cnn_engine.session.request import Request
from photos_for_tests import load_folder
from runs_for_tests import SMALL
from terminal import cnn_tui, environment

Usage = namedtuple("Usage", "free")


def save(path, shade):
    Image.new("RGB", (16, 16), (shade, 0, 0)).save(path)


@pytest.fixture
def pets(tmp_path):
    for name, shade in (("cat", 10), ("dog", 200)):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for number in range(10):
            save(tmp_path / "pets" / name / f"{number}.png", shade + number)
    return tmp_path / "pets"


@pytest.fixture
def decoded(monkeypatch):
    """Return a list of the paths decoded so far."""
    paths, real = [], folder.decode

    def decode(path, *arguments):
        paths.append(path)
        return real(path, *arguments)

    monkeypatch.setattr(folder, "decode", decode)
    return paths


def cache_files():
    return sorted(cache.cache_directory().glob("*"))


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


@pytest.mark.parametrize(
    "change", [added, removed, altered, altered_with_the_old_time, renamed_class, moved]
)
def test_changed_folder_is_decoded_again(pets, decoded, change):
    load_folder(pets)
    before = len(decoded)
    change(pets)
    after = load_folder(pets)
    assert len(decoded) - before == len(after.images)
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


def test_transient_read_errors_are_not_cached(pets, monkeypatch):
    real = folder.decode

    def fail(path, *arguments):
        if path.endswith("3.png"):
            raise Unreadable("Input/output error", is_permanent=False)
        return real(path, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr(folder, "decode", fail)
        assert len(load_folder(pets, unreadable="skip").images) == 18
    assert len(load_folder(pets, unreadable="skip").images) == 20


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
    assert len(decoded) == 40
    result = cnn_tui("data")
    assert r"\udcfe\x1b[2J" in result.stdout
    assert "\x1b" not in result.stdout


# Several processes.


LOAD = """
import sys
from cnn_engine.config.schema import DataConfig
from cnn_engine.data.sources import folder

print("ready", flush=True)
sys.stdin.readline()
config = DataConfig(source="folder", path=sys.argv[1], image_size=16)
print(folder.read(config, lambda *_: None).images[:, 0, 0, 0].tolist(), flush=True)
"""


def test_two_processes_can_decode_at_once(pets):
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", LOAD, str(pets)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(),
        )
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        assert process.communicate()[0] == f"{[*range(10, 20), *range(200, 210)]}\n"
    assert [path.suffix for path in cache_files()] == [".pixels"]


KILLED = """
import sys
from cnn_engine.config.schema import DataConfig
from cnn_engine.data.sources import folder

def hang(*_, **__):
    print("decoding", flush=True)
    sys.stdin.read()

folder.decode = hang
folder.read(DataConfig(source="folder", path=sys.argv[1], image_size=16), lambda *_: None)
"""


def test_killed_process_leaves_no_entry(pets, decoded):
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(pets)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment(),
    ) as process:
        assert process.stdout.readline() == b"decoding\n"
        (unfinished,) = cache_files()
        assert cache.clear() == []
        assert unfinished.exists(), "a file locked by a running process was removed"
        process.send_signal(signal.SIGKILL)
    assert cache_files() == [unfinished]
    assert cache.entries() == []
    load_folder(pets)
    assert len(decoded) == 20
    assert unfinished not in cache_files()


def test_removed_entry_stays_mapped_in_other_process(pets):
    load_folder(pets)
    mapped = load_folder(pets).images
    assert len(cache.clear()) == 1
    assert cache_files() == []
    assert mapped[:, 0, 0, 0].tolist() == [*range(10, 20), *range(200, 210)]


# Size limits.


def set_last_used(seconds):
    """Set the time of last use of the newest entry, and return its path."""
    (newest,) = (entry for entry in cache.entries() if entry.last_used > 1e9)
    os.utime(newest.path, (seconds, seconds))
    return newest.path


def test_least_recently_used_entries_are_evicted(pets, monkeypatch):
    paths = []
    for seconds, size in ((1, 8), (2, 9), (3, 10)):
        load_folder(pets, image_size=size)
        paths.append(set_last_used(seconds))
    load_folder(pets, image_size=8)  # now more recently used than the others
    total = sum(entry.bytes for entry in cache.entries())
    monkeypatch.setattr(cache, "LIMIT_BYTES", total)
    load_folder(pets, image_size=11)
    shapes = {entry.index.shape[1] for entry in cache.entries()}
    assert shapes == {8, 11}
    assert not paths[1].exists()


def test_entry_larger_than_the_limit_is_the_only_one(pets, monkeypatch):
    load_folder(pets, image_size=8)
    monkeypatch.setattr(cache, "LIMIT_BYTES", 10)
    load_folder(pets)
    assert [entry.index.shape[1] for entry in cache.entries()] == [16]


def test_nearly_full_disk_is_not_filled(pets, monkeypatch, decoded):
    load_folder(pets, image_size=8)
    free = cache.FREE_BYTES + 100
    monkeypatch.setattr(cache.shutil, "disk_usage", lambda _: Usage(free))
    data = load_folder(pets)
    assert len(data.images) == 20
    assert "No space left on device" in data.notices[0]
    assert [entry.index.shape[1] for entry in cache.entries()] == [8], "evicted without need"


# Without a writable cache.


def test_images_are_decoded_into_memory_without_a_writable_cache(pets, cache_home, decoded):
    (cache_home / "cnn-tui").write_text("in the way")
    (pets / "cat" / "0a.png").write_bytes(b"x")
    for count in (21, 42):
        data = load_folder(pets, unreadable="skip")
        assert data.images[:, 0, 0, 0].tolist() == [*range(10, 20), *range(200, 210)]
        (notice,) = data.notices
        assert notice.startswith("decoded images cannot be cached in")
        assert len(decoded) == count


@pytest.mark.parametrize("call", ["posix_fallocate", "pwrite", "ftruncate", "fsync"])
def test_full_disk_adds_notice(pets, monkeypatch, call):
    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, call, refuse)
    data = load_folder(pets)
    assert "No space left on device" in data.notices[0]
    assert data.images[:, 0, 0, 0].tolist() == [*range(10, 20), *range(200, 210)]
    assert cache_files() == []


def test_run_reports_failed_cache_write(pets, cache_home, tmp_path):
    (cache_home / "cnn-tui").write_text("in the way")
    recorder = Recorder(create_run(tmp_path / "runs"))
    settings = ["data.image_size=16", f"data.path={json.dumps(str(pets))}", "train.epochs=1"]
    engine = Engine(Request.from_preset("folder", [*SMALL, *settings]), recorder)
    engine.start()
    engine.join()
    assert engine.exit_code == 0
    assert any("cannot be cached" in notice.text for notice in recorder.state.notices)
    assert all(isinstance(notice, Notice) for notice in recorder.state.notices)


# `cnn-tui data`.


def test_entries_are_shown(pets):
    load_folder(pets)
    load_folder(pets, channels=1)
    lines = cnn_tui("data").stdout.splitlines()
    assert len(lines) == 5
    assert lines[1].split()[:2] == ["20", "16×16×1"]
    assert lines[2].endswith(str(pets))
    pets.rename(pets.with_name("elsewhere"))
    assert cnn_tui("data").stdout.count("(missing)") == 2


def test_entries_are_shown_as_json(pets):
    load_folder(pets)
    (path,) = cache_files()
    listing = json.loads(cnn_tui("data", "--json").stdout)
    (entry,) = listing["entries"]
    assert (entry["folder"], entry["folder_exists"]) == (str(pets), True)
    assert (entry["images"], entry["image_shape"]) == (20, [16, 16, 3])
    assert entry["bytes"] == listing["bytes"] == path.stat().st_size
    assert listing["limit_bytes"] == cache.LIMIT_BYTES


def test_damaged_entry_is_shown_and_cleared(pets):
    load_folder(pets)
    (path,) = cache_files()
    path.write_bytes(b"x")
    assert "damaged" in cnn_tui("data").stdout
    assert cnn_tui("data", "clear").stdout.startswith("1 bytes freed")
    assert cache_files() == []


def test_empty_cache_is_reported(cache_home):
    result = cnn_tui("data")
    assert (result.returncode, result.stdout) == (0, "")
    assert "No decoded images" in result.stderr
    assert cnn_tui("data", "clear").stdout == "0 bytes freed (0 folders)\n"


def test_one_folder_is_cleared_or_all(pets, tmp_path):
    other = tmp_path / "other"
    pets.rename(other)
    load_folder(other)
    other.rename(pets)
    load_folder(pets)
    size = sum(entry.bytes for entry in cache.entries() if entry.index.folder == str(pets))
    assert cnn_tui("data", "clear", str(pets)).stdout == f"{size:,} bytes freed (1 folder)\n"
    assert [entry.index.folder for entry in cache.entries()] == [str(other)]
    assert cnn_tui("data", "clear").returncode == 0
    assert cache_files() == []


def test_failed_download_prints_one_line_and_exits_3(tmp_path, run_cli):
    (tmp_path / "file").write_text("in the way")
    code, out, errors = run_cli("data", "fetch", "--data-dir", tmp_path / "file", cwd=tmp_path)
    assert (code, out) == (3, "")
    (line,) = errors.splitlines()
    assert line.startswith("cnn-tui: CIFAR-10 cannot be downloaded")
