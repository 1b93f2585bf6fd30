"""Names in all scripts, on all screens: readable, and with columns in line."""

import dataclasses
from pathlib import Path

import pytest
from rich.cells import cell_len

from cnn_engine.runlog import events
from cnn_tui.dashboard.app import Dashboard
from cnn_tui.dashboard.screens.compare import CompareScreen
from cnn_tui.dashboard.screens.run import RunScreen
from cnn_tui.dashboard.screens.runs import RunsScreen
from cnn_tui.text.safe import safe_text
from golden import add_maps, golden_run, rewrite_events
from pilot import press, screen_text, settle

pytestmark = pytest.mark.usefixtures("fixed_time")

NAMES = (
    *("کتاب\u200cها", "❤️ love", "👩‍🌾", 20 * "日", "한글", "cafe\u0301", "🇩🇪", "1️⃣"),
    # Cut to an even width, they fill it, as names in ASCII do.
    *(
        "ｶ日本のとても長い名前です日本のとても長い名前です",
        "!👍🏽👍🏽👍🏽👍🏽👍🏽👍🏽👍🏽👍🏽👍🏽👍🏽👍🏽👍🏽",
    ),
)
RUN_NAME, PRESET = "👩‍🌾農家", "❤️設定"
LETTERS = "абвгдежзиклмн"


def plain(name):
    """Return another name of the same width, of one letter for each name."""
    index = [*NAMES, RUN_NAME, PRESET].index(name)
    return LETTERS[index] * cell_len(safe_text(name))


def run_named(runs_dir, run_id, to_name):
    """Create the completed run with names for its classes, itself and its preset."""

    def change(event):
        match event:
            case events.RunPrepared():
                return dataclasses.replace(event, classes=tuple(map(to_name, NAMES)))
            case events.RunStarted():
                return dataclasses.replace(event, name=to_name(RUN_NAME), preset=to_name(PRESET))
        return event

    return add_maps(rewrite_events(golden_run(runs_dir, "completed", run_id), change))


def cells(text):
    """Return a character for each cell of each line; the second cell of a wide one is empty."""
    lines = []
    for line in text.splitlines():
        row = []
        for char in line:
            width = cell_len(char)
            row += [char, *[""] * (width - 1)] if width else []
        lines.append(row)
    return lines


def assert_same_columns(named, plain_named):
    """Assert that two screens differ only in the names, cell by cell."""
    named, plain_named = cells(named), cells(plain_named)
    assert len(named) == len(plain_named)
    for line, plain_line in zip(named, plain_named, strict=True):
        shown = "".join(line), "".join(plain_line)
        assert len(line) == len(plain_line), shown
        for char, plain_char in zip(line, plain_line, strict=True):
            assert char == plain_char or plain_char in f"{LETTERS}…" or char == "…", shown


@pytest.mark.parametrize("size", [(200, 60), (80, 24), (40, 12)])
async def test_columns_of_a_run_align_with_any_names(tmp_path, monkeypatch, size):
    """Emoji, joiners and wide characters shift no column (Textualize/textual#5980, rich#148)."""
    texts = []
    for to_name in (str, plain):
        directory = tmp_path / to_name.__name__
        directory.mkdir()
        monkeypatch.chdir(directory)
        app = Dashboard(RunScreen(run_named(Path("runs"), "1124-0412-amber", to_name)))
        async with app.run_test(size=size) as pilot:
            texts.append(await screens_after(pilot, "1", "2", "m", "m", "f", "3", "4", "5"))
    assert r"\u" not in texts[0]
    assert_same_columns(*texts)


async def screens_after(pilot, *keys):
    """Return the text of the screen after each key."""
    texts = []
    for key in keys:
        await press(pilot, key)
        texts.append(screen_text(pilot.app))
    return "\n".join(texts)


@pytest.mark.parametrize("size", [(160, 40), (120, 36), (80, 24), (40, 12)])
async def test_columns_of_lists_align_with_any_names(tmp_path, monkeypatch, size):
    texts = []
    for to_name in (str, plain):
        directory = tmp_path / to_name.__name__
        directory.mkdir()
        monkeypatch.chdir(directory)
        runs_dir = Path("runs")
        runs = [run_named(runs_dir, f"1124-041{number}-amber", to_name) for number in range(2)]
        app = Dashboard(RunsScreen(runs_dir))
        async with app.run_test(size=size) as pilot:
            await settle(pilot)
            shown = screen_text(app)
        app = Dashboard(CompareScreen(runs))
        async with app.run_test(size=size) as pilot:
            shown += "\n" + await screens_after(pilot, "1", "2", "3")
        texts.append(shown)
    assert r"\u" not in texts[0]
    assert_same_columns(*texts)


@pytest.mark.parametrize("command", ["show RUN", "runs", "compare RUN OTHER"])
def test_columns_of_reports_align_with_any_names(tmp_path, run_cli, monkeypatch, command):
    monkeypatch.setenv("COLUMNS", "100")
    texts = []
    for number, to_name in enumerate((str, plain)):
        runs_dir = tmp_path / str(number)
        for run_id in ("1124-0412-amber", "1124-0413-birch"):
            run_named(runs_dir, run_id, to_name)
        words = command.replace("RUN", "1124-0412-amber").replace("OTHER", "1124-0413-birch")
        code, out, _ = run_cli(*words.split(), "--runs-dir", ".", cwd=runs_dir)
        assert code == 0
        texts.append(out.replace(str(runs_dir), ""))
    assert r"\u" not in texts[0]
    assert_same_columns(*texts)
