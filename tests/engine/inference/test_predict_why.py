"""`cnn-tui predict --why`: heatmaps of what speaks for the most probable class."""

import json
import re

import pytest

from cnn_engine.inspection import heatmaps
from terminal import Terminal

IMAGE = "photos/test/cat/00.jpg"


def test_json_has_rows_of_the_heatmap(pets, predict):
    (row, other), _ = predict(pets[0], IMAGE, "photos/test/dog/00.jpg", "--why")
    assert len(row["why"]) == len(row["why"][0]) > 1
    assert max(map(max, row["why"])) == 255
    assert row["why"] != other["why"]
    (without,), _ = predict(pets[0], IMAGE)
    del row["why"]
    assert row == without


@pytest.mark.parametrize("option", ["--csv", "--no-pictures"])
def test_output_without_pictures_is_refused(pets, command, option):
    code, out, errors = command(IMAGE, "--why", option, cwd=pets[0])
    assert (code, out) == (2, "")
    assert f"--why draws pictures, {option} has none; use --json for numbers" in errors


def test_characters_mark_it_without_colors(pets, command):
    code, out, _ = command(IMAGE, "--why", cwd=pets[0])
    assert code == 0
    assert "\x1b" not in out
    heat = "".join(line[22:42] for line in out.splitlines())
    assert re.search("[#%@]", heat)
    assert re.search("[ .:]{20}", heat)
    assert re.search(r"# % @ \+ o O speak for (cat|dog)", out)


def test_colors_mark_it_in_a_terminal(pets, monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("COLORTERM", "truecolor")
    with Terminal("predict", "latest", IMAGE, "--why", cwd=pets[0], size=(80, 24)) as terminal:
        terminal.wait_for("yellow and orange speak for")
        assert terminal.wait() == 0
    assert max(len(line.rstrip()) for line in terminal.screen.display) <= 80


def test_reason_why_there_are_none_is_said_once(pets, predict, monkeypatch):
    monkeypatch.setattr(heatmaps, "heatmaps", lambda *_: [])
    rows, errors = predict(pets[0], "photos/test", "photos/train", "--why")
    assert {json.dumps(row["why"]) for row in rows} == {"null"}
    assert errors.count("no heatmaps: the network has no feature maps") == 1
