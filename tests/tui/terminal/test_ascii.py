"""ASCII output for terminals without UTF-8."""

import ast
import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color

import cnn_tui
from cnn_engine.inference.prediction import Prediction
from cnn_tui.cli.predict import _printer
from cnn_tui.dashboard.filters import AsciiGlyphs
from cnn_tui.terminal.ascii import ASCII, in_ascii, is_ascii_only
from golden import golden_run
from photos_for_tests import make_photos


@pytest.mark.parametrize(
    ("environment", "ascii_only"),
    [
        ({}, False),
        ({"LANG": "en_US.UTF-8"}, False),
        ({"LC_ALL": "C"}, True),
        ({"LC_ALL": "C.UTF-8", "LANG": "C"}, False),
        ({"LC_ALL": "", "LC_CTYPE": "de_DE.ISO-8859-1"}, True),
        ({"LANG": "POSIX"}, True),
    ],
)
def test_is_ascii_only_by_locale(environment, ascii_only):
    assert is_ascii_only(environment) == ascii_only


COMBINED_EMOJI = st.text("a1❤👩🚀é日\ufe0f\u200d\u0301", max_size=8)


@given(st.text(max_size=40) | COMBINED_EMOJI)
@example("1\ufe0f\u20e3 ❤\ufe0f")
@example("👩\u200d🚀")
def test_ascii_replacement_has_the_same_width(text):
    (segment,) = AsciiGlyphs().apply([Segment(text)], Color(0, 0, 0))
    assert segment.text.isascii()
    if text.replace("\u200d", "").isprintable():
        assert cell_len(segment.text) == cell_len(text)


def test_ascii_replacements_in_a_group_are_distinct():
    for group in ("━─", "★○●", "✓✗■", "▁▂▃▄▅▆▇█", "○◍◌"):
        assert len({ASCII[glyph] for glyph in group}) == len(group)


def glyphs_in(path):
    """Return the characters beyond ASCII in the strings of a module, without its docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docstrings = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    return {
        char
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and id(node) not in docstrings
        for char in node.value
        if not char.isascii()
    }


def test_every_glyph_of_the_program_has_an_ascii_twin():
    package = Path(cnn_tui.__file__).parent
    # Patterns that recognize characters, and a replacement in exported files.
    patterns = {
        "terminal/screen_diff.py",
        "terminal/ascii.py",
        "text/safe.py",
        "exports/toml_text.py",
    }
    used = {}
    for path in package.rglob("*.py"):
        name = path.relative_to(package).as_posix()
        if name not in patterns and not name.startswith("exports/"):
            used |= dict.fromkeys(glyphs_in(path), name)
    assert {"▸", "‖", "›", "▴"} <= set(used)  # cursor, pause, selection, sort order
    missing = {char: name for char, name in used.items() if "?" in in_ascii(char)}
    assert not missing


def test_accented_letters_lose_their_accents_in_ascii():
    assert in_ascii("café ñandú 日本 ß") == "cafe nandu ???? ?"


@pytest.mark.parametrize(
    "command", ["show RUN", "runs", "compare RUN OTHER", "data check photos", "explain --no-ui"]
)
def test_commands_print_ascii_without_utf8(tmp_path, run_cli, monkeypatch, command):
    """No braille and no dashes where the locale is C."""
    monkeypatch.setenv("LC_ALL", "C")
    for run_id in ("1-amber", "2-birch"):
        golden_run(tmp_path / "runs", "completed", run_id)
    make_photos(tmp_path / "photos", per_class=2)
    words = command.replace("RUN", "1-amber").replace("OTHER", "2-birch").split()
    if words[0] in ("show", "runs", "compare"):
        words += ["--runs-dir", "runs"]
    code, out, err = run_cli(*words, cwd=tmp_path)
    assert code in (0, 3)  # the images are too few to train
    assert out
    assert (out + err).isascii()
    assert not re.search(r"(?<!\w)\?", out)  # question marks follow words


def test_names_of_piped_predictions_are_kept_without_utf8(monkeypatch, capsys):
    """A script that reads the lines under LC_ALL=C gets the paths as they are."""
    monkeypatch.setenv("LC_ALL", "C")
    show = _printer(("Käse",), 1, as_json=False, as_csv=False, pictures=True, why=False)
    show(Prediction(path="käse.jpg", target=None, top=(("Käse", 1.0),), pixels=b"", size=0))
    assert capsys.readouterr().out == "Käse 100.0%  käse.jpg\n"
