"""`cnn-tui data check`: what is amiss with a folder of images, told before anything is trained."""

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
from cnn_engine.data.checks.issues import find_issues
from cnn_engine.data.checks.near_duplicates import difference_hashes, group_pairs, near_pairs
from cnn_engine.errors import DataError
from terminal import CLI, Terminal, cnn_tui, environment


def picture(number, size=(64, 64)):
    """Smooth colours, other ones for each number."""
    coarse = np.random.default_rng(number).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


def fill(folder, count, first=0, size=(64, 64)):
    folder.mkdir(parents=True)
    for number in range(first, first + count):
        picture(number, size).save(folder / f"{number:03}.png")


@pytest.fixture
def pets(tmp_path):
    """Two classes of 25 images with which nothing is amiss."""
    fill(tmp_path / "pets" / "cat", 25)
    fill(tmp_path / "pets" / "dog", 25, first=100)
    return tmp_path / "pets"


def found_in(folder):
    checked = check_folder(folder, lambda *_: None)
    config = DataConfig(source="folder", path=str(folder))
    return {finding.kind: finding for finding in find_issues(checked, config)}


def test_of_a_good_folder_there_is_nothing_to_say(pets):
    checked = check_folder(pets, lambda *_: None)
    assert checked.listing.classes == ("cat", "dog")
    assert checked.counts(test=False) == [25, 25]
    assert (checked.side, checked.size_reason) == (64, "")
    assert found_in(pets) == {}


def test_a_file_is_looked_at_as_a_run_will_see_it(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    picture(0, (60, 40)).save(tmp_path / "x.png", exif=exif)
    seen = inspect_image(str(tmp_path / "x.png"), with_digest=True)
    assert isinstance(seen, ImageInfo)
    assert (seen.width, seen.height, seen.format, seen.mode) == (40, 60, "PNG", "RGB")
    assert (seen.is_turned, seen.is_animated, seen.is_transparent) == (True, False, False)
    assert len(seen.miniature) == 18 * 16
    assert len(seen.digest) == 16


def test_unusable_files_are_listed_with_reason(pets):
    whole = (pets / "cat" / "000.png").read_bytes()
    (pets / "cat" / "cut.png").write_bytes(whole[: len(whole) // 2])
    (pets / "dog" / "text.jpg").write_text("no image")
    os.mkfifo(pets / "dog" / "pipe.jpg")
    finding = found_in(pets)["unreadable"]
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
    found = found_in(pets)
    assert found.keys() == {"equal-class", "equal-classes"}
    assert found["equal-class"].files == ("cat/003.png = cat/again.png",)
    assert found["equal-classes"].files == ("cat/004.png = dog/other.png",)


def test_near_duplicates_are_found(pets):
    original = picture(5)
    original.resize((48, 48)).save(pets / "cat" / "smaller.jpg", quality=60)
    original.point(lambda value: min(255, value + 20)).save(pets / "dog" / "brighter.webp")
    (group,) = found_in(pets)["near-classes"].files
    assert group == "cat/005.png ~ cat/smaller.jpg ~ dog/brighter.webp"


def test_images_both_in_train_and_test_are_a_leak(tmp_path):
    for part, first in (("train", 0), ("test", 200)):
        fill(tmp_path / part / "cat", 25, first)
        fill(tmp_path / part / "dog", 25, first + 100)
    (tmp_path / "test" / "cat" / "leak.png").write_bytes(
        (tmp_path / "train" / "dog" / "101.png").read_bytes()
    )
    picture(7, (50, 50)).save(tmp_path / "test" / "cat" / "scaled.png")
    found = found_in(tmp_path)
    assert found["equal-leak"].files == ("train/dog/101.png = test/cat/leak.png",)
    assert found["near-leak"].files == ("train/cat/007.png ~ test/cat/scaled.png",)
    assert "the test accuracy will be too high" in found["equal-leak"].text


def test_sixty_thousand_hashes_are_compared_and_nothing_alike_is_missed():
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


def test_blank_images_are_not_taken_for_each_other(pets):
    for shade in range(10):
        Image.new("RGB", (64, 64), (shade * 20, 0, 0)).save(pets / "cat" / f"blank{shade}.png")
    found = found_in(pets)
    assert found.keys() == {"blank"}
    assert len(found["blank"].files) == 10


def test_groups_hang_together_by_pairs():
    assert group_pairs([(5, 6), (1, 2), (2, 3), (7, 6)]) == [[1, 2, 3], [5, 6, 7]]
    assert group_pairs([]) == []


def test_small_and_unbalanced_classes_are_reported(pets):
    fill(pets / "emu", 3, first=300)
    found = found_in(pets)
    assert found["few"].files == ("emu",)
    assert "25 images of 'cat', 3 of 'emu'" in found["uneven"].text
    assert "train.class_weights=balanced" in found["uneven"].advice


def test_size_shape_and_format_issues_are_reported(pets):
    picture(500, (20, 20)).save(pets / "cat" / "tiny.png")
    picture(501, (300, 100)).save(pets / "cat" / "long.png")
    picture(502).save(pets / "cat" / "misnamed.png", "JPEG")
    Image.fromarray(np.asarray(picture(503).convert("L")).astype(np.uint16) * 257).save(
        pets / "cat" / "wide.png"
    )
    found = found_in(pets)
    assert found["tiny"].files == ("cat/tiny.png",)
    assert found["long"].files == ("cat/long.png",)
    assert found["misnamed"].files == ("cat/misnamed.png: is JPEG",)
    assert found["handled"].text.startswith("1 16-bit or CMYK")
    assert {finding.severity for finding in found.values()} == {"warning", "note"}


@pytest.mark.parametrize("content", [None, b"no image"])
def test_a_class_without_a_usable_image_keeps_a_run_from_training(pets, content):
    (pets / "emu").mkdir()
    if content:
        (pets / "emu" / "x.png").write_bytes(content)
    finding = found_in(pets)["empty-class"]
    assert (finding.severity, finding.files) == ("stop", ("emu",))


def test_too_few_images_to_split_keep_a_run_from_training(tmp_path):
    fill(tmp_path / "cat", 2)
    fill(tmp_path / "dog", 2, first=100)
    assert found_in(tmp_path)["too-few"].severity == "stop"


def test_check_reports_missing_classes_like_a_run(tmp_path):
    with pytest.raises(DataError, match="contains no class folders"):
        check_folder(tmp_path, lambda *_: None)


def large_images(folder):
    """400 files that take a while: one, under many names."""
    fill(folder / "dog", 1)
    fill(folder / "cat", 1, size=(3000, 3000))
    for number in range(1, 400):
        os.link(folder / "cat" / "000.png", folder / "cat" / f"{number:03}.png")


def test_crashed_worker_process_is_reported(tmp_path):
    large_images(tmp_path)

    def progress(what, *_):
        if what == "checking images":
            multiprocessing.active_children()[0].kill()

    with pytest.raises(DataError, match="a worker process died while reading images"):
        check_folder(tmp_path, progress)


# The command.


def data_check(*arguments, cwd):
    return cnn_tui("data", "check", *arguments, cwd=cwd)


def test_check_command_prints_contents_and_training_time(pets):
    (pets / "cat" / "bad.png").write_bytes(b"")
    result = data_check(str(pets), cwd=pets)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    assert "51 image files in 2 classes" in result.stdout
    assert re.search(r"cat +25 +━", result.stdout)
    assert re.search(r"sizes +all 64 × 64 pixels", result.stdout)
    assert "cat/bad.png: is not an image, or is damaged" in result.stdout
    assert re.search(r"Training \d+ epochs .* takes about \d+:\d\d", result.stdout)
    assert "▀" not in result.stdout
    assert "\x1b" not in result.stdout


def test_check_exits_3_if_training_would_fail(pets, tmp_path):
    (pets / "emu").mkdir()
    result = data_check("pets", "--json", cwd=tmp_path)
    assert result.returncode == 3
    found = json.loads(result.stdout)
    assert found["can_train"] is False
    assert found["training_seconds"] is None
    assert [finding["kind"] for finding in found["findings"]] == ["empty-class"]
    nothing = data_check("nowhere", cwd=tmp_path)
    assert (nothing.returncode, nothing.stdout) == (3, "")
    assert (
        nothing.stderr
        == "cnn-tui: nowhere: is not a folder; pass the folder that contains your class folders\n"
    )


def without_a_time(folder):
    """A class with no image: a run would stop, so that how long it takes is not measured."""
    (folder / "without").mkdir()
    return 3


def test_in_a_terminal_each_class_has_a_row_of_pictures(pets, tmp_path):
    with Terminal("data", "check", "pets", cwd=tmp_path, size=(80, 60)) as terminal:
        terminal.wait_for("takes about")
        assert terminal.wait() == 0
    rows = [line for line in terminal.text.splitlines() if line.startswith("▀")]
    assert len(rows) == 2 * 6
    assert {row.count("▀") for row in rows} == {5 * 12}
    assert b"\x1b[38;2;" in terminal.raw or b"\x1b[38;5;" in terminal.raw


def test_without_colours_pictures_are_shades(pets, tmp_path, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    code = without_a_time(pets)
    with Terminal("data", "check", "pets", cwd=tmp_path, size=(80, 60)) as terminal:
        assert terminal.wait() == code
    assert "▀" not in terminal.text
    assert re.search(r"^[ .:=+*#%@-]{60,}$", terminal.text, re.MULTILINE)
    assert b"38;" not in terminal.raw


def test_of_many_classes_some_are_shown(tmp_path):
    for number in range(59):
        fill(tmp_path / "many" / f"c{number:02}", 1 + number % 3, first=10 * number, size=(16, 16))
    code = without_a_time(tmp_path / "many")
    with Terminal("data", "check", "many", cwd=tmp_path, size=(80, 200)) as terminal:
        assert terminal.wait() == code
    assert "60 classes" in terminal.text
    assert "… and 20 more classes of intermediate size" in terminal.text
    assert "… and 47 more classes" in terminal.text


NAMES = [
    "\x1b]0;x\x07",
    "\x1b[2J",
    "a\nb",
    "[red]",
    "[nope]",
    "[@click=app.exit]",
    "🐈",
    "\u202e",
    "é" * 120,
]


def test_hostile_names_are_shown_as_text(tmp_path, run_cli):
    for number, name in enumerate([*NAMES, "\udcff"]):
        fill(tmp_path / "odd" / name, 3, first=10 * number, size=(16, 16))
        (tmp_path / "odd" / name / f"{name}.png").write_bytes(b"")
    code = without_a_time(tmp_path / "odd")
    with Terminal("data", "check", "odd", cwd=tmp_path, size=(100, 200)) as terminal:
        assert terminal.wait() == code
    for harmful in (b"\x1b]0;x", b"\x1b[2J", b"\xe2\x80\xae"):
        assert harmful not in terminal.raw
    for shown in (r"\x1b]0;x\x07", "[red]", "[nope]", "[@click=app.exit]", r"\u202e", r"\udcff"):
        assert shown in terminal.text
    ended, out, _ = run_cli("data", "check", "odd", "--json", cwd=tmp_path)
    assert ended == code
    names = {each["name"] for each in json.loads(out)["classes"]}
    assert names == {*NAMES, "\udcff", "without"}


def test_ctrl_c_ends_it_at_once_and_cleanly(tmp_path):
    large_images(tmp_path)
    with Terminal("data", "check", str(tmp_path), cwd=tmp_path) as terminal:
        terminal.wait_for(lambda text: re.search(r"checking images [\d,]+/401", text))
        terminal.press("\x03")
        assert terminal.wait(30) == 130
    assert "Traceback" not in terminal.text
    assert "looking" not in terminal.text


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_killed_it_leaves_no_process_behind(tmp_path):
    large_images(tmp_path)

    def children(pid):
        return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()

    with subprocess.Popen([*CLI, "data", "check", str(tmp_path)], env=environment()) as process:
        while len(begun := children(process.pid)) < 2:
            time.sleep(0.01)
        time.sleep(0.5)
        process.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 20
    while any(Path(f"/proc/{pid}").exists() for pid in begun):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_looking_a_folder_over_needs_no_pytorch():
    code = (
        "import sys, cnn_engine.data.checks.check, cnn_engine.data.checks.issues\n"
        "import cnn_tui.reports.data_check\n"
        "print('torch' in sys.modules)"
    )
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, check=True, env=environment())
    assert result.stdout == "False\n"
