"""From mistakes to better data, with the commands of the README, on real images."""

import csv
import re
import shlex
from pathlib import Path

import pytest
from PIL import Image

from cnn_engine.data.sources.idx import read_digits

README = Path(__file__).parents[3] / "README.md"

QUICK = ["--no-ui", "--epochs", "8", "--set", "train.device=cpu", "--set", "data.image_size=16"]
"""Options added to the first `run` of the README; `--like` repeats them."""

PER_CLASS = 60


def commands_of_readme():
    """Return the commands in the README section "From mistakes to better data"."""
    text = README.read_text()
    section = text.partition("\n## From mistakes to better data\n")[2].partition("\n## ")[0]
    (block,) = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    return [shlex.split(line) for line in block.splitlines()]


@pytest.fixture
def photos(tmp_path):
    """Handwritten zeros as `cat` and ones as `dog`, but a one as `cat/014.jpg`."""
    digits = read_digits()
    for name, digit, wrong in (("cat", 0, 1), ("dog", 1, None)):
        folder = tmp_path / "photos" / name
        folder.mkdir(parents=True)
        images = digits.images[digits.labels == digit][:PER_CLASS].copy()
        if wrong is not None:
            images[14] = digits.images[digits.labels == wrong][PER_CLASS]
        for number, image in enumerate(images[..., 0]):
            Image.fromarray(image).save(folder / f"{number:03}.jpg", quality=95)
    return tmp_path / "photos"


def test_commands_of_the_readme_find_a_wrong_label_and_use_its_mark(photos, run_cli):
    outputs = []
    for program, *arguments in commands_of_readme():
        assert program == "cnn-tui"
        is_first = arguments[:2] == ["run", "folder"]
        more = QUICK if is_first else ["--no-ui"] if arguments[0] == "run" else []
        code, out, errors = run_cli(*arguments, *more, cwd=photos.parent)
        assert code == 0, (arguments, out, errors)
        outputs.append((out, errors))
    (_, _), (suspects, _), (marked, _), (after, notices), (compared, _), (predicted, _) = outputs
    assert "cat/014.jpg" in suspects
    with (photos.parent / "suspects.csv").open(newline="") as file:
        first = next(csv.DictReader(file))
    assert "cat/014.jpg" in first.values()
    assert "relabel dog" in marked
    assert "1 relabelled" in after + notices
    assert "marks" in compared
    assert "dog" in predicted
