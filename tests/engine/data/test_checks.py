"""`cnn-tui data check`: problems of an image folder, found before training."""

import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnn_engine.config.schema import DataConfig
from cnn_engine.data.checks.check import check_folder
from cnn_engine.data.checks.image_info import ImageInfo, inspect_image
from cnn_engine.data.checks.issues import find_issues, split_counts
from cnn_engine.data.checks.near_duplicates import difference_hashes, group_pairs, near_pairs
from cnn_engine.data.dataset import load_dataset
from cnn_engine.errors import DataError
from photos_for_tests import HOSTILE_NAMES, folder_config
from terminal import CLI, Terminal, environment


def make_image(number, size=(64, 64)):
    """Return an image of smooth random colours, with `number` as the seed."""
    coarse = np.random.default_rng(number).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


def save_images(folder, count, first=0, size=(64, 64)):
    """Create a folder of images with the seeds `first`, `first` + 1, …"""
    folder.mkdir(parents=True)
    for number in range(first, first + count):
        make_image(number, size).save(folder / f"{number:03}.png")


@pytest.fixture
def pets(tmp_path):
    """Create a folder of two classes of 25 images without problems; return its path."""
    save_images(tmp_path / "pets" / "cat", 25)
    save_images(tmp_path / "pets" / "dog", 25, first=100)
    return tmp_path / "pets"


def issues_by_kind(folder):
    checked = check_folder(folder_config(folder), lambda *_: None)
    config = DataConfig(source="folder", path=str(folder))
    return {finding.kind: finding for finding in find_issues(checked, config)}


def test_good_folder_has_no_issues(pets):
    checked = check_folder(folder_config(pets), lambda *_: None)
    assert checked.listing.classes == ("cat", "dog")
    assert checked.counts("train") == [25, 25]
    assert (checked.side, checked.size_reason) == (64, "")
    assert issues_by_kind(pets) == {}


def test_image_info_follows_exif_orientation(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    make_image(0, (60, 40)).save(tmp_path / "x.png", exif=exif)
    info = inspect_image(str(tmp_path / "x.png"), with_digest=True)
    assert isinstance(info, ImageInfo)
    assert (info.width, info.height, info.format, info.mode) == (40, 60, "PNG", "RGB")
    assert (info.is_turned, info.is_animated, info.is_transparent) == (True, False, False)
    assert len(info.miniature) == 18 * 16
    assert len(info.digest) == 16


def test_unusable_files_are_listed_with_reason(pets):
    content = (pets / "cat" / "000.png").read_bytes()
    (pets / "cat" / "cut.png").write_bytes(content[: len(content) // 2])
    (pets / "dog" / "text.jpg").write_text("no image")
    os.mkfifo(pets / "dog" / "pipe.jpg")
    finding = issues_by_kind(pets)["unreadable"]
    assert finding.severity == "warning"
    assert finding.text == "3 files of 53 cannot be used"
    assert [file.partition(": ")[0] for file in finding.files] == [
        "cat/cut.png",
        "dog/pipe.jpg",
        "dog/text.jpg",
    ]
    assert "truncated" in finding.files[0]


def test_equal_files_are_found_within_and_across_classes(pets):
    content = (pets / "cat" / "003.png").read_bytes()
    (pets / "cat" / "again.png").write_bytes(content)
    (pets / "dog" / "other.png").write_bytes((pets / "cat" / "004.png").read_bytes())
    issues = issues_by_kind(pets)
    assert issues.keys() == {"equal-class", "equal-classes"}
    assert issues["equal-class"].files == ("cat/003.png = cat/again.png",)
    assert issues["equal-classes"].files == ("cat/004.png = dog/other.png",)


def test_near_duplicates_are_found(pets):
    original = make_image(5)
    original.resize((48, 48)).save(pets / "cat" / "smaller.jpg", quality=60)
    original.point(lambda value: min(255, value + 20)).save(pets / "dog" / "brighter.webp")
    (group,) = issues_by_kind(pets)["near-classes"].files
    assert group == "cat/005.png ~ cat/smaller.jpg ~ dog/brighter.webp"


def test_train_images_in_the_test_folder_are_a_leak(tmp_path):
    for split, first in (("train", 0), ("test", 200)):
        save_images(tmp_path / split / "cat", 25, first)
        save_images(tmp_path / split / "dog", 25, first + 100)
    (tmp_path / "test" / "cat" / "leak.png").write_bytes(
        (tmp_path / "train" / "dog" / "101.png").read_bytes()
    )
    make_image(7, (50, 50)).save(tmp_path / "test" / "cat" / "scaled.png")
    issues = issues_by_kind(tmp_path)
    assert issues["equal-leak"].files == ("train/dog/101.png = test/cat/leak.png",)
    assert issues["near-leak"].files == ("train/cat/007.png ~ test/cat/scaled.png",)
    assert "the test accuracy will be too high" in issues["equal-leak"].text


def test_all_similar_pairs_of_many_images_are_found():
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (20_000, 8, 9), dtype=np.uint8)
    miniatures = coarse.repeat(2, axis=1).repeat(2, axis=2)
    copies = np.clip(miniatures[:50].astype(int) + rng.integers(-3, 4, (50, 16, 18)), 0, 255)
    pairs = near_pairs(np.concatenate([miniatures, copies.astype(np.uint8)]))
    assert pairs == [(number, 20_000 + number) for number in range(50)]


def test_difference_hash_bits_mark_brighter_right_neighbor():
    rising = np.tile(np.arange(18, dtype=np.uint8) * 10, (1, 16, 1))
    assert difference_hashes(rising).tolist() == [2**64 - 1]
    assert difference_hashes(rising[:, :, ::-1]).tolist() == [0]


def test_blank_images_are_not_near_duplicates(pets):
    for shade in range(10):
        Image.new("RGB", (64, 64), (shade * 20, 0, 0)).save(pets / "cat" / f"blank{shade}.png")
    issues = issues_by_kind(pets)
    assert issues.keys() == {"blank"}
    assert len(issues["blank"].files) == 10


def test_pairs_are_merged_into_groups():
    assert group_pairs([(5, 6), (1, 2), (2, 3), (7, 6)]) == [[1, 2, 3], [5, 6, 7]]
    assert group_pairs([]) == []


def test_small_and_unbalanced_classes_are_reported(pets):
    save_images(pets / "emu", 3, first=300)
    issues = issues_by_kind(pets)
    assert issues["few"].files == ("emu",)
    assert "25 images of 'cat', 3 of 'emu'" in issues["uneven"].text
    assert "train.class_weights=balanced" in issues["uneven"].advice


def test_size_shape_and_format_issues_are_reported(pets):
    make_image(500, (20, 20)).save(pets / "cat" / "tiny.png")
    make_image(501, (300, 100)).save(pets / "cat" / "long.png")
    make_image(502).save(pets / "cat" / "misnamed.png", "JPEG")
    Image.fromarray(np.asarray(make_image(503).convert("L")).astype(np.uint16) * 257).save(
        pets / "cat" / "wide.png"
    )
    issues = issues_by_kind(pets)
    assert issues["tiny"].files == ("cat/tiny.png",)
    assert issues["long"].files == ("cat/long.png",)
    assert issues["misnamed"].files == ("cat/misnamed.png: is JPEG",)
    assert issues["handled"].text.startswith("1 16-bit or CMYK")
    assert {finding.severity for finding in issues.values()} == {"warning", "note"}


@pytest.mark.parametrize(
    ("size", "text"),
    [
        ((3, 2000), "width:height from 1:667 to 1:1"),
        ((2000, 3), "width:height from 1:1 to 667:1"),
        ((4, 3), "width:height from 1:1 to 1.33:1"),
        ((8, 8), "all 1:1, width:height"),
    ],
)
def test_extreme_aspect_ratios_are_readable(tmp_path, run_cli, size, text):
    """The ratio of a strip of 3 × 2000 pixels is not printed as 0.00."""
    save_images(tmp_path / "cat", 2)
    save_images(tmp_path / "dog", 2, first=10)
    make_image(20, size).save(tmp_path / "dog" / "long.png")
    add_empty_class(tmp_path)
    _, out, _ = run_cli("data", "check", ".", cwd=tmp_path)
    assert text in " ".join(out.split())


@pytest.mark.parametrize("content", [None, b"no image"])
def test_class_without_usable_images_is_an_error(pets, content):
    (pets / "emu").mkdir()
    if content:
        (pets / "emu" / "x.png").write_bytes(content)
    finding = issues_by_kind(pets)["empty-class"]
    assert (finding.severity, finding.files) == ("stop", ("emu",))


def test_too_few_images_to_split_are_an_error(tmp_path):
    save_images(tmp_path / "cat", 2)
    save_images(tmp_path / "dog", 2, first=100)
    assert issues_by_kind(tmp_path)["too-few"].severity == "stop"


def test_folder_without_a_readable_image_is_an_error(tmp_path, run_cli):
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.jpg").write_text("no image")
    code, out, error = run_cli("data", "check", ".", cwd=tmp_path)
    assert (code, error) == (3, "")
    assert "2 classes without a usable image to train on" in out
    assert "2 files of 2 cannot be used" in out


def test_given_validation_images_are_counted_apart(tmp_path):
    """A folder of validation images is part of the check (huggingface/datasets#4839)."""
    for split, first in (("Train", 0), ("valid", 200)):
        save_images(tmp_path / split / "cat", 25, first)
        save_images(tmp_path / split / "dog", 25, first + 100)
    leak = (tmp_path / "Train" / "cat" / "000.png").read_bytes()
    (tmp_path / "valid" / "cat" / "leak.png").write_bytes(leak)
    checked = check_folder(folder_config(tmp_path), lambda *_: None)
    assert checked.given == ("train", "val")
    assert checked.counts("val") == [26, 25]
    config = DataConfig(source="folder", path=str(tmp_path))
    counts = split_counts(checked, config)
    assert counts == {"train": [20, 20], "val": [26, 25], "test": [5, 5]}
    issues = issues_by_kind(tmp_path)
    assert "in train and in val: the val accuracy" in issues["equal-leak"].text
    assert issues["layout"].text.startswith("there are no labelled test images")


@pytest.mark.parametrize("small", [1, 2, 3, 4, 7])
def test_counts_per_part_are_those_of_a_run(tmp_path, small):
    """The check states which classes a part lacks, as a run splits them (piximi#261)."""
    save_images(tmp_path / "cat", 30, size=(16, 16))
    save_images(tmp_path / "emu", small, first=100, size=(16, 16))
    checked = check_folder(folder_config(tmp_path), lambda *_: None)
    config = DataConfig(source="folder", path=str(tmp_path))
    data = load_dataset(config, 0, lambda *_: None)
    parts = {"train": data.train, "val": data.val, "test": data.test}
    expected = {part: list(data.counts(indices)) for part, indices in parts.items()}
    assert split_counts(checked, config) == expected
    issues = issues_by_kind(tmp_path)
    for part in ("val", "test"):
        assert (f"no-{part}-image" in issues) == (expected[part][1] == 0)


def test_names_are_whole_from_within_the_folder(pets, run_cli):
    """Names are not cut off if the folder is `.` (greenbone/openvas-scanner#1921)."""
    (pets / "dog" / "copy.png").write_bytes((pets / "cat" / "000.png").read_bytes())
    (pets / "emu").mkdir()
    code, out, _ = run_cli("data", "check", ".", cwd=pets)
    assert code == 3
    assert "cat/000.png = dog/copy.png" in out
    code, out, _ = run_cli("data", "check", ".", "--json", cwd=pets)
    assert json.loads(out)["images"][0]["path"] == "cat/000.png"


def test_files_that_are_not_used_are_issues(pets):
    """Photos of an iPhone are not passed over without a word (photoprism#3705)."""
    (pets / "cat" / "IMG_1.HEIC").touch()
    save_images(pets / "cat" / ".thumbnails", 1)
    checked = check_folder(folder_config(pets), lambda *_: None)
    config = DataConfig(source="folder", path=str(pets))
    assert [(issue.severity, issue.text) for issue in find_issues(checked, config)] == [
        ("warning", "1 file passed over: .heic (not supported; convert to JPEG)"),
        ("note", "1 hidden or system folder passed over: .thumbnails"),
    ]


def test_check_reports_missing_classes_like_a_run(tmp_path):
    with pytest.raises(DataError, match="contains no class folders"):
        check_folder(folder_config(tmp_path), lambda *_: None)


def test_test_images_of_one_class_are_named_by_check_and_run(tmp_path):
    """With too few images of a class to hold any out, the test images are all of the other."""
    save_images(tmp_path / "a", 30)
    save_images(tmp_path / "b", 2, first=100)
    text = "all test images are of class a; add images of the others"
    issues = issues_by_kind(tmp_path)
    assert (issues["no-test-image"].text, issues["no-test-image"].files) == (text, ("b",))
    config = DataConfig(source="folder", path=str(tmp_path))
    assert text in load_dataset(config, 0, lambda *_: None).notices


def large_images(folder):
    """Create 400 files that take a while to check: hard links to one large image."""
    save_images(folder / "dog", 1)
    save_images(folder / "cat", 1, size=(3000, 3000))
    for number in range(1, 400):
        os.link(folder / "cat" / "000.png", folder / "cat" / f"{number:03}.png")


def test_crashed_worker_process_is_reported(tmp_path):
    large_images(tmp_path)

    def progress(what, *_):
        if what == "checking images":
            multiprocessing.active_children()[0].kill()

    with pytest.raises(DataError, match="a worker process died while reading images"):
        check_folder(folder_config(tmp_path), progress)


# The command.


def test_check_command_prints_contents_and_training_time(pets, run_cli):
    (pets / "cat" / "bad.png").write_bytes(b"")
    code, out, error = run_cli("data", "check", str(pets), cwd=pets)
    assert (code, error) == (0, "")
    assert "51 image files in 2 classes" in out
    assert re.search(r"cat +25 +━", out)
    assert re.search(r"sizes +all 64 × 64 pixels", out)
    assert "cat/bad.png: is empty" in out
    assert re.search(r"Training \d+ epochs .* takes about \d+:\d\d", out)
    assert "▀" not in out
    assert "\x1b" not in out


def test_check_exits_3_if_training_would_fail(pets, tmp_path, run_cli):
    (pets / "emu").mkdir()
    code, out, _ = run_cli("data", "check", "pets", "--json", cwd=tmp_path)
    assert code == 3
    report = json.loads(out)
    assert report["can_train"] is False
    assert report["training_seconds"] is None
    assert [finding["kind"] for finding in report["findings"]] == ["empty-class"]
    code, out, error = run_cli("data", "check", "nowhere", cwd=tmp_path)
    assert (code, out) == (3, "")
    assert error == (
        "cnn-tui: nowhere: is not a folder; pass the folder that contains your images "
        f"(relative paths start from the current directory, {tmp_path})\n"
    )


def add_empty_class(folder):
    """Add a class without images, so that no training time is measured; return the exit code."""
    (folder / "empty").mkdir()
    return 3


def test_terminal_shows_a_row_of_pictures_per_class(tmp_path):
    for number, name in enumerate(("cat", "dog")):  # small, to measure the training time quickly
        save_images(tmp_path / "pets" / name, 25, first=100 * number, size=(16, 16))
    with Terminal("data", "check", "pets", cwd=tmp_path, size=(80, 60)) as terminal:
        terminal.wait_for("takes about")
        assert terminal.wait() == 0
    rows = [line for line in terminal.text.splitlines() if line.startswith("▀")]
    assert len(rows) == 2 * 6
    assert {row.count("▀") for row in rows} == {5 * 12}
    assert b"\x1b[38;2;" in terminal.raw or b"\x1b[38;5;" in terminal.raw


def test_pictures_without_colours_are_ascii_shades(pets, tmp_path, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    code = add_empty_class(pets)
    with Terminal("data", "check", "pets", cwd=tmp_path, size=(80, 60)) as terminal:
        assert terminal.wait() == code
    assert "▀" not in terminal.text
    assert re.search(r"^[ .:=+*#%@-]{60,}$", terminal.text, re.MULTILINE)
    assert b"38;" not in terminal.raw


def test_only_some_of_many_classes_are_shown(tmp_path):
    for number in range(59):
        save_images(
            tmp_path / "many" / f"c{number:02}", 1 + number % 3, first=10 * number, size=(16, 16)
        )
    code = add_empty_class(tmp_path / "many")
    with Terminal("data", "check", "many", cwd=tmp_path, size=(80, 200)) as terminal:
        assert terminal.wait() == code
    assert "60 classes" in terminal.text
    assert "… and 20 more classes of intermediate size" in terminal.text
    assert "… and 47 more classes" in terminal.text


NAMES = [*HOSTILE_NAMES, "\u202e", "é" * 120]


def test_hostile_names_are_shown_as_text(tmp_path, run_cli):
    for number, name in enumerate([*NAMES, "\udcff"]):
        save_images(tmp_path / "odd" / name, 3, first=10 * number, size=(16, 16))
        (tmp_path / "odd" / name / f"{name}.png").write_bytes(b"")
    code = add_empty_class(tmp_path / "odd")
    with Terminal("data", "check", "odd", cwd=tmp_path, size=(100, 200)) as terminal:
        assert terminal.wait() == code
    for sequence in (b"\x1b]0;x", b"\x1b[2J", b"\xe2\x80\xae"):
        assert sequence not in terminal.raw
    for text in (r"\x1b]0;x\x07", "[red]", "[nope]", "[@click=app.exit]", r"\u202e", r"\udcff"):
        assert text in terminal.text
    exit_code, out, _ = run_cli("data", "check", "odd", "--json", cwd=tmp_path)
    assert exit_code == code
    names = {row["name"] for row in json.loads(out)["classes"]}
    assert names == {*NAMES, "\udcff", "empty"}


def test_ctrl_c_ends_the_check_at_once(tmp_path):
    large_images(tmp_path)
    with Terminal("data", "check", str(tmp_path), cwd=tmp_path) as terminal:
        terminal.wait_for(lambda text: re.search(r"checking images [\d,]+/401", text))
        terminal.press("\x03")
        assert terminal.wait(30) == 130
    assert "Traceback" not in terminal.text
    assert "looking" not in terminal.text


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_killed_check_leaves_no_worker_process(tmp_path):
    large_images(tmp_path)

    def children(pid):
        return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()

    with subprocess.Popen([*CLI, "data", "check", str(tmp_path)], env=environment()) as process:
        while len(workers := children(process.pid)) < 2:
            time.sleep(0.01)
        time.sleep(0.5)
        process.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 20
    while any(Path(f"/proc/{pid}").exists() for pid in workers):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_checking_a_folder_imports_no_torch():
    code = (
        "import sys, cnn_engine.data.checks.check, cnn_engine.data.checks.issues\n"
        "import cnn_tui.reports.data_check\n"
        "print('torch' in sys.modules)"
    )
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, check=True, env=environment())
    assert result.stdout == "False\n"
