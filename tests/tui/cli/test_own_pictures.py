"""A folder of images from `data check` to `export`, with real commands and files."""

import io
import json
import os
import re
import shlex
import shutil
from pathlib import Path

import pytest
import torch

from cnn_engine.checkpoints.format import Position, checksum_footer
from cnn_engine.data.decode import decode
from photos_for_tests import HOSTILE_NAMES, SAVERS, add_bad_files, make_photos
from runs_for_tests import RunForTests

README = Path(__file__).parents[3] / "README.md"

QUICK = ["--no-ui", "--epochs", "1", "--set", "train.device=cpu", "--set", "data.image_size=32"]


@pytest.fixture(scope="module")
def shared_photos(tmp_path_factory):
    """Folder of image files of several formats, which no test changes."""
    folder = tmp_path_factory.mktemp("photos")
    make_photos(folder)
    return folder


@pytest.fixture
def photos(shared_photos, tmp_path):
    """Copy of the folder as `photos` in its own directory."""
    return shutil.copytree(shared_photos, tmp_path / "photos")


def train(photos, runs_dir, *settings):
    """Train a run on the photos and return its directory."""
    settings = (f"data.path={photos}", "train.epochs=1", *settings)
    run = RunForTests(photos.parent / runs_dir, *settings, preset="folder").train()
    assert run.live_state.status == "done"
    return run.directory.path


def commands_of_readme():
    """Return the commands in the README section "Your own pictures"."""
    section = README.read_text().partition("\n## Your own pictures\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    return [shlex.split(line, comments=True) for block in blocks for line in block.splitlines()]


SHORTER = {"run": ["--epochs", "2"]}
"""Options added to a command of the README."""


def test_commands_of_the_readme_work(photos, run_cli):
    commands = [command for command in commands_of_readme() if command]
    assert [command[1] for command in commands] == [
        "data", "run", "show", "test", "predict", "export",
    ]  # fmt: skip
    outputs = {}
    for program, *arguments in commands:
        assert program == "cnn-tui"
        more = SHORTER.get(arguments[0], [])
        code, outputs[arguments[0]], errors = run_cli(*arguments, *more, cwd=photos.parent)
        assert code == 0, (arguments, errors)
        assert "\x1b" not in outputs[arguments[0]] + errors
    assert "66 image files in 2 classes" in outputs["data"]
    assert "Test Accuracy of cat" in outputs["run"]
    assert "dog" in outputs["show"]
    assert "recorded" in outputs["test"]
    assert outputs["predict"].count("photos/cat/") == 33
    assert (photos.parent / outputs["export"].strip() / "example.py").exists()


@pytest.mark.parametrize("number", range(len(SAVERS)), ids=list(SAVERS))
def test_every_file_kind_is_decoded_upright(shared_photos, number):
    (path,) = (shared_photos / "dog").glob(f"{number:03}.*")
    pixels = decode(path, 32, 3).astype(int)
    assert pixels.shape == (32, 32, 3)
    assert pixels[14:18, 14:18].mean() > 130
    assert pixels[14:18, 14:18].mean() > pixels[:3, :3].mean() + 20


def test_check_and_run_report_the_same_unreadable_files(photos, run_cli):
    bad = add_bad_files(photos / "cat")
    checked = json.loads(run_cli("data", "check", "photos", "--json", cwd=photos.parent)[1])
    (finding,) = (issue for issue in checked["findings"] if issue["kind"] == "unreadable")
    reported = [Path(file.partition(": ")[0]).name for file in finding["files"]]
    assert sorted(reported) == bad
    assert checked["can_train"] is True
    run = ["run", "folder", "--data-dir", "photos", *QUICK]
    code, out, errors = run_cli(*run, cwd=photos.parent)
    assert code == 0, errors
    assert f"{len(bad)} image files were skipped" in errors
    assert "Test Accuracy (Overall)" in out
    assert "Traceback" not in errors
    code, _, errors = run_cli(*run, "--set", "data.unreadable=stop", cwd=photos.parent)
    assert code == 3
    assert f"{len(bad)} of 75 image files cannot be read" in errors
    assert "Traceback" not in errors


def test_control_characters_in_class_names_are_escaped(photos, run_cli):
    for name in [*HOSTILE_NAMES, "=cmd", "\udcff", "\u202e"]:
        shutil.copytree(photos / "cat", photos / name)
        (photos / name / f"{name}.png").write_bytes(b"")
    outputs = []
    run = ("run", "folder", "--data-dir", "photos", *QUICK)
    for command in (run, ("show",), ("test",), ("test", "--json"), ("runs",), ("show", "--json")):
        code, *texts = run_cli(*command, cwd=photos.parent)
        assert code == 0, texts
        outputs += texts
    for text in outputs:
        assert not any(char in text for char in ("\x1b", "\x07", "\u202e", "\udcff"))
    assert r"\x1b[2J" in outputs[0]
    assert "[@click=app.exit]" in outputs[0]
    assert "\x1b[2J" in json.loads(outputs[-2])["classes"]


class Canary:
    """Object that creates a file when it is unpickled."""

    def __init__(self, path):
        self._path = path

    def __reduce__(self):
        return os.system, (f"touch {self._path}",)


def test_malicious_checkpoint_is_refused_by_all_commands(photos, run_cli):
    cwd, run = photos.parent, train(photos, "runs")
    buffer = io.BytesIO()
    torch.save({"model": Canary(cwd / "canary")}, buffer)
    content = buffer.getvalue() + checksum_footer(buffer.getvalue(), Position(1, 0))
    for name in ("best.pt", "last.pt", "previous.pt"):
        (run / name).write_bytes(content)
    results = []
    for command in (
        ("resume", "latest", "--epochs", "2", "--no-ui"),
        ("test",),
        ("predict", "latest", "photos/cat"),
        ("export", "latest", "--to", "torch-export"),
    ):
        code, _, errors = run_cli(*command, cwd=cwd)
        results.append((code, errors))
    for code, errors in results:
        assert code == 3, errors
        assert "is not a checkpoint of cnn-tui" in errors
        assert "Traceback" not in errors
    assert not (cwd / "canary").exists()
    assert all((run / name).read_bytes() == content for name in ("best.pt", "last.pt"))


def test_checkpoint_of_another_model_is_refused(photos, run_cli):
    one, two = train(photos, "one"), train(photos, "two", "model.name=resnet")
    for name in ("best.pt", "last.pt"):
        (one / name).write_bytes((two / name).read_bytes())
    before = (one / "last.pt").read_bytes()
    runs_dir = ("--runs-dir", "one")
    for command in (("resume", "latest", "--epochs", "2", "--no-ui"), ("test",)):
        code, _, errors = run_cli(*command, *runs_dir, cwd=photos.parent)
        assert code == 2, errors
        assert "does not fit the model of the run's config" in errors
    assert (one / "last.pt").read_bytes() == before
