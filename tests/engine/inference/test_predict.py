"""`cnn-tui predict`, as a real process, on real files: mixed, damaged, oddly named."""

import csv
import io
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cnn_engine.checkpoints.format import BEGINNING, seal
from cnn_engine.data.dataset import load_dataset
from cnn_engine.data.image_files import Named, gather
from cnn_engine.inference import predict as engine
from cnn_engine.inference.prediction import Prediction, PredictionFailed
from cnn_engine.inference.trained import load_trained_model
from cnn_engine.runs.directory import RunDirectory
from cnn_engine.runs.summary import read_state
from cnn_tui.reports.predictions import as_line, name_width
from photos_for_tests import bomb, fill
from runs_for_tests import RunForTests
from terminal import CLI, Terminal, cnn_tui, environment

ODD_CLASSES = (
    "=cmd|'!A0",
    "[red]x[bold]",
    "a\x1b]0;pwned\x07",
    "b\x1b[2J\u202eab",
    "new\nline",
    "emoji 🙂",
    os.fsdecode(b"lone\xff"),
    "long" * 60,
)


@pytest.fixture(scope="module")
def pets(tmp_path_factory):
    """A run on class folders with a test folder: the folder, and the run."""
    where = tmp_path_factory.mktemp("pets")
    generator = np.random.default_rng(0)
    for part, count in (("train", 30), ("test", 20)):
        for label, name in enumerate(("cat", "dog")):
            folder = where / "photos" / part / name
            folder.mkdir(parents=True)
            for number in range(count):
                noise = generator.integers(0, 156, (40, 30, 3)) + 50 * label
                Image.fromarray(noise.astype(np.uint8)).save(folder / f"{number:02}.jpg")
    run = RunForTests(
        where / "runs", f"data.path={where / 'photos'}", "train.epochs=2", preset="folder"
    )
    return where, run.train().directory


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    where = tmp_path_factory.mktemp("digits")
    return where, RunForTests(where / "runs", "train.epochs=2").train().directory


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    """A run whose classes are named as nobody would."""
    where = tmp_path_factory.mktemp("odd")
    for number, name in enumerate(ODD_CLASSES):
        fill(where / "photos" / name, 10, shade=30 * number)
    settings = (f"data.path={where / 'photos'}", "train.epochs=1")
    return where, RunForTests(where / "runs", *settings, preset="folder").train().directory


@pytest.fixture
def command(here):
    """What `predict` says of images with the latest run: exit code, stdout, stderr."""
    return lambda *arguments, cwd: here("predict", "latest", *arguments, cwd=cwd)


@pytest.fixture
def answers(command):
    """What JSON lines say, and what stderr does."""

    def run(where, *arguments, code=0):
        ended, out, errors = command("--json", *arguments, cwd=where)
        assert ended == code, errors
        return [json.loads(line) for line in out.splitlines()], errors

    return run


def test_a_folder_of_test_images_gives_the_figure_of_the_runs_own_test(pets, answers):
    where, run = pets
    told, errors = answers(where, "photos/test")
    test = read_state(run)[0].test
    right = sum(each["class"] == each["truth"] for each in told)
    assert right == sum(test.correct)
    assert f"40 images classified; {right} of 40 are what their folders say" in errors
    trained = load_trained_model(run)
    data = load_dataset(trained.config.data, trained.config.train.seed, lambda *_: None)
    expected = trained.logits(data.images[data.test]).softmax(1).amax(1)
    assert [each["path"] for each in told] == [f"photos/{path}" for path in data.paths[-40:]]
    found = torch.tensor([each["probability"] for each in told])
    assert torch.allclose(found, expected, atol=1e-6)


def test_images_of_a_known_set_are_answered_as_the_set_itself(digits, tmp_path, answers):
    where, run = digits
    trained = load_trained_model(run)
    data = load_dataset(trained.config.data, trained.config.train.seed, lambda *_: None)
    for number, pixels in enumerate(data.images[:30].numpy()):
        Image.fromarray(pixels[..., 0]).save(tmp_path / f"{number:02}.png")
    told, _ = answers(where, tmp_path, "--top", "3")
    scores = trained.logits(data.images[:30]).softmax(1)
    assert [each["class"] for each in told] == [str(int(best)) for best in scores.argmax(1)]
    found = [[each["probability"] for each in one["top"]] for one in told]
    assert np.allclose(found, scores.sort(dim=1, descending=True)[0][:, :3], atol=1e-6)


def test_piped_lines_are_aligned_and_plain(pets, command):
    _, out, errors = command("photos/test/cat", cwd=pets[0])
    lines = out.splitlines()
    assert len(lines) == 20
    assert len({line.index("photos/") for line in lines}) == 1
    assert lines[0].split()[1].endswith("%")
    assert "\x1b" not in out + errors
    assert errors == "20 images classified\n"


def test_a_tie_goes_to_the_first_class_as_everywhere_else(digits, monkeypatch):
    trained = load_trained_model(digits[1])
    scores = torch.randint(0, 4, (200, 10)).float()
    monkeypatch.setattr(type(trained), "logits", lambda *_: scores)
    likeliest = engine._top_classes(trained, [np.zeros((8, 8, 1), np.uint8)] * 200, 2)
    assert [int(top[0][0]) for top in likeliest] == scores.argmax(1).tolist()


# Odd files.


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    """Images of every kind, and files that are none."""
    folder = tmp_path_factory.mktemp("zoo")
    red = Image.new("RGB", (90, 40), "red")
    red.convert("CMYK").save(folder / "cmyk.jpg")
    Image.fromarray(np.full((50, 50), 40_000, np.uint16)).save(folder / "deep.png")
    frames = [Image.new("P", (20, 20), number) for number in range(3)]
    frames[0].save(folder / "moving.gif", save_all=True, append_images=frames[1:])
    red.save(folder / "really_png.jpg", format="PNG")
    Image.new("RGBA", (20, 20), (0, 0, 0, 0)).save(folder / "clear.png")
    (folder / "bomb.png").write_bytes(bomb())
    (folder / "empty.png").write_bytes(b"")
    (folder / "text.jpg").write_text("no image")
    os.mkfifo(folder / "pipe.png")
    return folder


def test_what_cannot_be_read_is_named_and_the_rest_answered(pets, zoo, answers):
    told, errors = answers(pets[0], zoo, "nowhere.png", code=3)
    good = ["clear.png", "cmyk.jpg", "deep.png", "moving.gif", "really_png.jpg"]
    assert [Path(each["path"]).name for each in told] == good
    for name, reason in {
        "bomb.png": "Image size (2500000000 pixels) exceeds limit",
        "empty.png": "is no image, or damaged",
        "text.jpg": "is no image, or damaged",
        "pipe.png": "is no regular file",
    }.items():
        assert f"cnn-tui: {zoo / name}: {reason}" in errors
    assert "cnn-tui: nowhere.png: No such file or directory\n" in errors
    assert errors.endswith("5 images classified, 5 unreadable\n")


def test_a_named_file_needs_no_known_ending(pets, tmp_path, answers):
    Image.new("RGB", (9, 9)).save(tmp_path / "picture.dat", format="PNG")
    told, _ = answers(pets[0], tmp_path / "picture.dat")
    assert len(told) == 1


def is_harmless(text):
    return not any(unicodedata.category(char)[0] == "C" for char in text if char != "\n")


@pytest.fixture(scope="module")
def oddly_named(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    names = [
        "-a.png",
        "=b.png",
        "c\nd.png",
        "e\x1b[2J.png",
        os.fsdecode(b"f\xff.png"),
        "[red]g.png",
    ]
    for name in names:
        Image.new("RGB", (8, 8)).save(folder / name, format="PNG")
    return folder, sorted(names)


def test_odd_names_are_harmless_in_lines(odd, oddly_named, command):
    code, out, errors = command(oddly_named[0], "--top", "99", cwd=odd[0])
    assert code == 0, errors
    assert is_harmless(out)
    assert len(out.splitlines()) == 6
    assert "c\\nd.png" in out


def test_odd_names_are_harmless_in_csv_and_no_formulas(odd, oddly_named):
    where, names = oddly_named
    arguments = ("--csv", "--top", "99", "--runs-dir", str(odd[0] / "runs"), "--", *names)
    result = cnn_tui("predict", "latest", *arguments, cwd=where)
    assert result.returncode == 0, result.stderr
    assert is_harmless(result.stdout)
    heading, *rows = csv.reader(io.StringIO(result.stdout))
    assert heading[:6] == ["path", "truth", "class", "probability", "class_2", "probability_2"]
    assert {len(row) for row in rows} == {len(heading)} == {2 + 2 * len(ODD_CLASSES)}
    cells = [cell for row in rows for cell in row]
    assert not any(cell.startswith(("=", "+", "-", "@")) for cell in cells)
    assert {"'-a.png", "'=b.png", "c\\nd.png", "'=cmd|'!A0"} <= set(cells)


def test_json_keeps_odd_names_exactly(odd, oddly_named, answers):
    told, _ = answers(odd[0], oddly_named[0], "--top", "99")
    assert [Path(each["path"]).name for each in told] == oddly_named[1]
    assert {each["class"] for each in told[0]["top"]} == set(ODD_CLASSES)


# Which files.


@pytest.mark.parametrize("separator", [b"\n", b"\0"])
def test_files_are_listed_on_stdin(pets, answers, monkeypatch, separator):
    names = [b"photos/test/dog/03.jpg", b"photos/test/cat/01.jpg"]
    listed = io.BytesIO(separator.join([*names, b""]))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(listed))
    told, _ = answers(pets[0], "-")
    assert [each["path"].encode() for each in told] == names
    assert told[0]["truth"] is None


def test_folders_are_searched_whatever_their_structure(tmp_path):
    for name in ("b/x/2.PNG", "b/1.jpg", "a.webp", "b/.hidden.png", "b/notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "b" / "loop").symlink_to(tmp_path)
    found = gather([str(tmp_path), "other.txt"], pytest.fail)
    names = [os.path.relpath(each.path, tmp_path) for each in found[:-1]]
    assert names == ["a.webp", "b/1.jpg", "b/x/2.PNG"]
    assert found[-1] == Named("other.txt", "")


@pytest.mark.parametrize(
    ("path", "folder", "truth"),
    [
        ("photos/cat/dog/1.jpg", "photos", "cat"),
        ("photos/test/dog/1.jpg", "photos/", "dog"),
        ("photos/cat/1.jpg", "photos/cat", None),
        ("cat/1.jpg", "", None),
        ("./dog/1.jpg", ".", "dog"),
        ("photos/cat", "photos", None),
    ],
)
def test_the_outermost_folder_below_the_one_named_tells_the_class(path, folder, truth):
    assert Named(path, folder).truth(("cat", "dog")) == truth


def test_nothing_to_classify_is_a_fault_of_the_data(pets, tmp_path, command):
    code, out, errors = command(tmp_path, cwd=pets[0])
    assert (code, out) == (3, "")
    assert f"{tmp_path}: no images there" in errors


def test_a_closed_stdin_lists_nothing(pets, command, monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    code, _, errors = command("-", cwd=pets[0])
    assert code == 3
    assert "no images there" in errors


def test_only_a_batch_is_decoded_ahead(pets, monkeypatch):
    decoded = []
    real = engine.decode
    monkeypatch.setattr(engine, "decode", lambda *how: decoded.append(how) or real(*how))
    image = str(pets[0] / "photos" / "test" / "cat" / "00.jpg")
    told = engine.predict(load_trained_model(pets[1]), [Named(image, "")] * 1000, 1)
    assert isinstance(next(told), Prediction)
    assert len(decoded) == engine.MAX_BATCH_SIZE


def test_a_file_that_takes_too_much_memory_is_left_out(pets, monkeypatch):
    def fail(*_):
        raise MemoryError

    monkeypatch.setattr(engine, "decode", fail)
    (told,) = engine.predict(load_trained_model(pets[1]), [Named("big.png", "")], 1)
    assert told == PredictionFailed(path="big.png", reason="not enough memory")


# What the model is.


@pytest.fixture
def copied(pets, tmp_path):
    """The run, to be spoiled."""
    shutil.copytree(pets[1].path, tmp_path / "runs" / pets[1].id)
    return tmp_path, RunDirectory(tmp_path / "runs" / pets[1].id)


class Malicious:
    def __init__(self, canary):
        self.canary = canary

    def __reduce__(self):
        return os.mkdir, (str(self.canary),)


def sealed(content):
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue() + seal(buffer.getvalue(), BEGINNING)


def spoil(kind, path, canary):
    match kind:
        case "missing":
            path.unlink()
        case "cut short":
            path.write_bytes(path.read_bytes()[:5000])
        case "malicious":
            path.write_bytes(sealed({"model": Malicious(canary)}))
        case "bare pickle":
            path.write_bytes(pickle.dumps(Malicious(canary)))
        case "no tensors":
            path.write_bytes(sealed({"model": {"dense.0.weight": 3}}))
        case "no epoch":
            content = torch.load(path, weights_only=True)
            del content["epoch"]
            path.write_bytes(sealed(content))


@pytest.mark.parametrize(
    ("kind", "code", "text"),
    [
        ("missing", 2, "has no model yet"),
        ("cut short", 3, "best.pt: is damaged, or not a checkpoint"),
        ("malicious", 3, "holds something else than a checkpoint"),
        ("bare pickle", 3, "is damaged, or not a checkpoint"),
        ("no tensors", 3, "holds something else than a checkpoint"),
        ("no epoch", 3, "lacks the epoch"),
    ],
)
def test_a_spoiled_model_is_refused_in_a_line(  # noqa: PLR0917
    pets, copied, command, kind, code, text
):
    where, run = copied
    canary = where / "canary"
    spoil(kind, run.path / "best.pt", canary)
    ended, out, errors = command(pets[0] / "photos/test/cat/00.jpg", cwd=where)
    assert (ended, out) == (code, "")
    assert text in errors
    assert errors.count("\n") == 1
    assert not canary.exists()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--json", "--csv"), "--json or --csv, not both"),
        (("--device", "tpu"), "train.device"),
    ],
)
def test_what_cannot_be_asked_is_told(pets, command, arguments, text):
    code, out, errors = command("photos", *arguments, cwd=pets[0])
    assert (code, out) == (2, "")
    assert text in errors


# On a terminal.


def test_pictures_stand_beside_bars(pets, monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    arguments = ("predict", "latest", "photos/test/cat/00.jpg", "photos/test")
    with Terminal(*arguments, cwd=pets[0], size=(80, 24)) as terminal:
        terminal.wait_for("Loading PyTorch")
        terminal.wait_for("41 images classified")
        assert terminal.wait() == 0
    shown = terminal.raw.decode()
    assert "photos/test/dog/19.jpg" in shown
    assert "▀" in shown
    assert "━" in shown
    assert "as its folder says" in shown
    assert max(len(line.rstrip()) for line in terminal.screen.display) <= 80


@pytest.mark.parametrize(
    ("arguments", "changes", "size"),
    [
        (("--no-pictures",), {}, (80, 24)),
        ((), {"NO_COLOR": "1"}, (80, 24)),
        ((), {"TERM": "dumb"}, (80, 24)),
        ((), {"LC_ALL": "C"}, (80, 24)),
        ((), {}, (30, 12)),
    ],
)
def test_lines_where_pictures_are_not_wanted_or_cannot_be(
    pets, monkeypatch, arguments, changes, size
):
    monkeypatch.delenv("NO_COLOR", raising=False)
    command = ["env", *(f"{key}={value}" for key, value in changes.items()), *CLI]
    command += ["predict", "latest", "photos/test/cat/00.jpg", *arguments]
    with Terminal(cwd=pets[0], size=size, command=command) as terminal:
        terminal.wait_for("00.jpg")
        assert terminal.wait() == 0
    assert b"\x1b[3" not in terminal.raw
    assert "▀" not in terminal.raw.decode()


def begun(pets):
    """A process that answers for files listed on its stdin."""
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    command = [*CLI, "predict", "latest", "--top", "1", "-"]
    return subprocess.Popen(command, cwd=pets[0], env=environment(), **pipes)


def test_an_interrupt_ends_it_and_keeps_what_is_told(pets):
    names = b"photos/test/cat/00.jpg\n" * 300_000
    process = begun(pets)
    process.stdin.write(names)
    process.stdin.close()
    process.stdin = None
    assert process.stdout.readline().endswith(b"photos/test/cat/00.jpg\n")
    process.send_signal(signal.SIGINT)
    rest, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert rest[-1:] in (b"", b"\n")
    assert errors.startswith(b"cnn-tui: interrupted; ")
    assert errors.count(b"\n") == 1


def test_a_reader_that_has_enough_is_no_fault(pets):
    names = b"photos/test/cat/00.jpg\n" * 20_000
    process = begun(pets)
    process.stdin.write(names)
    process.stdin.close()
    assert process.stdout.readline()
    process.stdout.close()
    errors = process.stderr.read()
    process.stderr.close()
    process.wait(60)
    assert b"Traceback" not in errors
    assert b"Exception" not in errors


def test_a_line_has_every_name_in_full_columns():
    answer = Prediction(
        path="a.png", top=(("日本", 0.9), ("x", 0.1)), target=None, size=1, pixels=b"0"
    )
    assert as_line(answer, name_width(["日本", "x"])) == "日本  90.0%  x     10.0%  a.png"
