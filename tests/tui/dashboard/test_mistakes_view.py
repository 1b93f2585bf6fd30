"""The Mistakes view: misclassified images, filters and the CSV export."""

import json
import random
import time

import pytest

from cnn_engine.results import mistakes, predictions
from cnn_engine.results.mistakes import read_mistakes
from cnn_engine.runlog import events
from cnn_engine.runs.summary import read_state
from cnn_tui.dashboard.app import Dashboard
from cnn_tui.dashboard.screens.run import RunScreen
from cnn_tui.dashboard.widgets.picture_grid import TILE_SIZES, PictureGrid, tile_layout
from cnn_tui.pictures.half_blocks import Picture
from cnn_tui.settings import Options
from golden import golden_run, running_run
from pilot import SIZES, press, repaints_while_idle, screen_text, settle
from terminal import Terminal


def grid_of(app):
    return app.screen.query_one(PictureGrid)


def shown_mistakes(app):
    return app.screen.view.pictures.mistakes


def test_tile_layout_picks_largest_fitting_size():
    square = Picture(bytes(32 * 32 * 3), 32, 32, 3)
    for width, height, cells, min_count in ((196, 52, 32, 8), (116, 28, 20, 8), (76, 18, 16, 4)):
        grid = tile_layout(square, width, height)
        assert grid.cells == cells
        assert grid.capacity >= min_count
    for width in range(1, 210, 3):
        for height in range(1, 70, 3):
            grid = tile_layout(square, width, height)
            assert grid.cells <= width
            assert grid.columns * (grid.cells + 2) - 2 <= width or grid.columns == 1
            assert grid.rows * (grid.cells // 2 + 4) - 1 <= height or grid.rows == 1
    assert [size for size, _ in TILE_SIZES] == sorted(
        (size for size, _ in TILE_SIZES), reverse=True
    )


@pytest.mark.parametrize("size", SIZES)
async def test_most_confident_mistake_comes_first(run, finished_test, size):
    first = read_mistakes(run, finished_test)[0]
    app = Dashboard(RunScreen(run))
    async with app.run_test(size=size) as pilot:
        await press(pilot, "3")
        lines = screen_text(app).splitlines()
    assert any("▀▀▀▀" in line for line in lines)
    classes = read_state(run)[0].prepared.classes
    (caption,) = [number for number, line in enumerate(lines) if "› " in line]
    assert f"› {classes[first.target]} " in lines[caption] + " "
    assert f"→ {classes[first.predicted]} " in lines[caption + 1] + " "
    assert f"{100 * first.confidence:.1f}%" in lines[caption + 2]


async def test_keys_move_through_all_mistakes(run, finished_test):
    pictures = read_mistakes(run, finished_test)
    app = Dashboard(RunScreen(run))
    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "3")
        grid = grid_of(app)
        await pilot.press("left", "up")
        assert grid.view.selected == 0
        await pilot.press("right", "right", "left")
        assert grid.view.selected == 1
        await pilot.press("down")
        assert grid.view.selected == 1 + grid._layout.columns
        await pilot.press("up", "pagedown")
        assert grid.view.selected == 1 + grid._layout.capacity
        await settle(pilot)
        assert f"2{len(pictures)}" not in screen_text(app)
        assert f"{grid.view.selected + 1} of {len(pictures)}" in screen_text(app)
        await pilot.press("end")
        assert grid.view.selected == len(pictures) - 1
        await pilot.press("right", "down", "pagedown")
        assert grid.view.selected == len(pictures) - 1
        await pilot.press("home")
        assert grid.view.selected == 0


@pytest.mark.parametrize("size", [(120, 36), (60, 20)])
async def test_enlarged_mistake_shows_details(run, finished_test, size):
    mistake = read_mistakes(run, finished_test)[1]
    app = Dashboard(RunScreen(run))
    async with app.run_test(size=size) as pilot:
        await press(pilot, "3", "right", "enter")
        text = screen_text(app)
        assert f"ranked {mistake.rank}" in text
        assert f"{100 * mistake.confidence:.2f}%" in text
        assert mistake.name in text
        await pilot.press("escape")
        await settle(pilot)
        assert "ranked" not in screen_text(app)
        assert app.is_running


async def test_matrix_cell_filters_mistakes(run, finished_test):
    target, predicted, count = max(finished_test.confusion, key=lambda pair: pair[2])
    app = Dashboard(RunScreen(run))
    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "2", *["down"] * target, *["right"] * predicted, "enter")
        assert app.screen.shown_view == "mistakes"
        shown = shown_mistakes(app)
        pairs = {(mistake.target, mistake.predicted) for mistake in shown}
        assert pairs == {(target, predicted)}
        text = screen_text(app)
        assert f"{target} predicted as {predicted} ─ {len(shown)}" in text
        assert len(shown) == count or f" of {count}," in text
        await pilot.press("escape")
        await settle(pilot)
        assert len(shown_mistakes(app)) == len(read_mistakes(run, finished_test))
        assert app.screen.shown_view == "mistakes"
        await pilot.press("2", "enter")  # filter again, to clear it with the key a
        await settle(pilot)
        await pilot.press("a")
        assert len(shown_mistakes(app)) == len(read_mistakes(run, finished_test))


async def test_diagonal_cell_shows_all_mistakes_of_class(run, finished_test):
    target = max(
        range(10), key=lambda index: finished_test.total[index] - finished_test.correct[index]
    )
    app = Dashboard(RunScreen(run))
    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "2", *["down"] * target, *["right"] * target, "enter")
        assert {mistake.target for mistake in shown_mistakes(app)} == {target}
        assert f"{target} misclassified" in screen_text(app)


async def test_pair_without_images_shows_the_reason(run, finished_test):
    pairs = {(target, predicted) for target, predicted, _ in finished_test.confusion}
    target, predicted = next(
        (a, b) for a in range(10) for b in range(10) if a != b and (a, b) not in pairs
    )
    app = Dashboard(RunScreen(run))
    async with app.run_test(size=(80, 24)) as pilot:
        await press(pilot, "2", *["down"] * target, *["right"] * predicted, "enter")
        assert "no mistakes in this cell" in screen_text(app)
        await pilot.press("enter", "right", "down", "escape", "escape")
        await settle(pilot)
        assert len(shown_mistakes(app)) == len(read_mistakes(run, finished_test))


# Before the test, and without saved images.


async def test_view_before_the_test_says_when_mistakes_are_available(tmp_path):
    app = Dashboard(RunScreen(running_run(tmp_path, 60), trains_here=True))
    async with app.run_test(size=(80, 24)) as pilot:
        await press(pilot, "3")
        assert "available after the final test" in screen_text(app)


async def test_mistakes_appear_after_test(run):
    lines = run.events.read_text().splitlines(keepends=True)
    before = next(number for number, line in enumerate(lines) if '"TestFinished"' in line)
    run.events.write_text("".join(lines[:before]))
    app = Dashboard(RunScreen(run, trains_here=True))
    async with app.run_test(size=(80, 24)) as pilot:
        await press(pilot, "3")
        assert "Mistakes ─ validation, epoch 2 ─" in screen_text(app)
        run.events.write_text("".join(lines))
        app.screen.poll()
        await settle(pilot)
        assert "Mistakes ─ test ─" in screen_text(app)
        assert "▀" in screen_text(app)


async def test_missing_mistakes_file_suggests_test_command(tmp_path):
    app = Dashboard(RunScreen(golden_run(tmp_path, "completed")))
    async with app.run_test(size=(160, 24)) as pilot:
        await press(pilot, "3", "enter", "right", "w")
        assert "there is no such file" in screen_text(app)
        assert "cnn-tui test" in screen_text(app)


async def test_untested_run_shows_the_reason(tmp_path):
    app = Dashboard(RunScreen(golden_run(tmp_path, "stopped")))
    async with app.run_test(size=(80, 24)) as pilot:
        await press(pilot, "3", "w")
        assert "not tested: the run ended before the test" in screen_text(app)
        assert "has not been tested yet" in screen_text(app)


async def test_run_without_mistakes_says_so(run, monkeypatch):
    perfect = events.TestFinished(
        time=time.time(), epoch=1, loss=0.0, correct=(4,) * 10, total=(4,) * 10, seconds=1.0
    )
    content = {"format": 1, "epoch": 1, "fingerprint": "", "mistakes": []}
    (run.path / mistakes.MISTAKES_FILE).write_text(json.dumps(content))
    app = Dashboard(RunScreen(run))
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        app.screen.state.test = perfect
        await pilot.press("3")
        await settle(pilot)
        assert "no mistakes" in screen_text(app)


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b"[" * 100_000, b'{"format":7}'])
async def test_damaged_file_is_reported(run, content):
    (run.path / mistakes.MISTAKES_FILE).write_bytes(content)
    (run.path / predictions.PREDICTIONS_FILE).write_bytes(content)
    app = Dashboard(RunScreen(run))
    async with app.run_test(size=(200, 36)) as pilot:
        for keys in ("3", "enter right down enter", "2 enter", "w", "1", "5"):
            await pilot.press(*keys.split())
            await settle(pilot)
            assert "q quit" in screen_text(app) or "test.json" in screen_text(app)
        await pilot.press("3")
        await settle(pilot)
        assert mistakes.MISTAKES_FILE in screen_text(app)


async def test_hostile_names_are_escaped(run):
    hostile = ["[red]a", "[/nope]", "[@click=app.exit]x", "\x1b[2Jb", "c\nd", "\u202ee", "\udcff"]
    hostile.append("é" * 500)
    content = json.loads((run.path / mistakes.MISTAKES_FILE).read_text())
    for mistake, name in zip(content["mistakes"], hostile, strict=False):
        mistake["name"] = name
    (run.path / mistakes.MISTAKES_FILE).write_text(json.dumps(content))
    log = run.events.read_text()
    names = json.dumps(["[/x]", "\x1b]0;x\x07", *map(str, range(2, 9)), "[@click=app.exit]9"])
    log = log.replace(json.dumps(list(map(str, range(10)))).replace(" ", ""), names)
    run.events.write_text(log)
    app = Dashboard(RunScreen(run))
    text = ""
    async with app.run_test(size=(120, 36)) as pilot:
        await settle(pilot)
        await pilot.press("3", "enter")
        for _ in hostile:
            await settle(pilot)
            text += screen_text(app)
            await pilot.press("right")
    assert all(char == "\n" or char.isprintable() for char in text)
    assert "[/nope]" in text
    assert r"\x1b[2Jb" in text
    assert r"\udcff" in text


# Terminals.


async def test_pictures_are_characters_without_colors(run, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    await _check_character_pictures(Dashboard(RunScreen(run)))


async def test_pictures_are_characters_in_ascii(run):
    app = Dashboard(RunScreen(run), options=Options(ascii=True))
    assert (await _check_character_pictures(app)).isascii()


async def _check_character_pictures(app):
    """Assert that pictures are drawn as characters, and return the text of the screen."""
    async with app.run_test(size=(80, 24)) as pilot:
        await press(pilot, "3")
        text = screen_text(app)
    assert "▀" not in text
    assert "@@" in text
    assert "##" in text or "**" in text
    return text


def test_terminal_with_256_colors_gets_no_true_color(run, monkeypatch):
    monkeypatch.delenv("COLORTERM", raising=False)
    arguments = ("watch", run.id, "--runs-dir", str(run.path.parent))
    with Terminal(*arguments, cwd=run.path.parent, size=(80, 24)) as terminal:
        terminal.wait_for("q quit")
        before = len(terminal.raw)
        terminal.press("3")
        terminal.wait_for("▀▀▀▀")
        drawn = terminal.raw[before:]
        terminal.press("\r")
        terminal.wait_for("ranked")
        terminal.press("q")
        assert terminal.wait() == 0
    assert b"38;5;" in drawn
    assert b"48;5;" in drawn
    assert b"38;2;" not in terminal.raw
    assert b"48;2;" not in terminal.raw
    assert len(drawn) < 40_000


async def test_view_survives_random_resizes(run):
    random.seed(0)
    app = Dashboard(RunScreen(run))
    async with app.run_test(size=(120, 36)) as pilot:
        await settle(pilot)
        await pilot.press("3")
        for number in range(25):
            await pilot.resize_terminal(random.randint(1, 220), random.randint(1, 70))
            await pilot.press("enter" if number % 7 == 0 else "right")
        await pilot.resize_terminal(1, 1)
        await pilot.press("enter", "down", "enter")
        assert app.is_running


async def test_idle_view_repaints_nothing(run):
    app = Dashboard(RunScreen(run))
    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "3")
        assert await repaints_while_idle(pilot) == []


@pytest.mark.parametrize("size", [(120, 36), (80, 24), (40, 24)])
async def test_fewer_saved_images_than_mistakes_are_explained(run, finished_test, size):
    """A cell says why it shows only some of its mistakes."""
    saved = read_mistakes(run, finished_test)
    pair = (saved[0].target, saved[0].predicted)
    content = json.loads((run.path / mistakes.MISTAKES_FILE).read_text())
    content["mistakes"] = content["mistakes"][:1]
    (run.path / mistakes.MISTAKES_FILE).write_text(json.dumps(content))
    app = Dashboard(RunScreen(run))
    async with app.run_test(size=size) as pilot:
        await press(pilot, "3")
        text = " ".join(screen_text(app).replace("│", " ").split())
        assert "saves images of its 48 most confident mistakes" in text
        app.screen.view.show_pair("test", pair[0], pair[0])
        await settle(pilot)
        empty = next(
            (target, other)
            for target in range(10)
            for other in range(10)
            if target != other
            and not any((row[0], row[1]) == (target, other) for row in finished_test.confusion)
        )
        app.screen.view.show_pair("test", *empty)
        await settle(pilot)
        assert "no mistakes in this cell" in screen_text(app)
