"""The screens, from golden logs, at several sizes, as text."""

import dataclasses
import json
import os
import random
from pathlib import Path

import pytest

from cnn_engine import events
from cnn_engine.commands import CommandReader
from cnn_engine.events import from_line, to_line
from cnn_engine.recorder import Recorder
from cnn_tui.app import Dashboard
from cnn_tui.screens.confirm import Confirm
from cnn_tui.screens.run import RunScreen
from cnn_tui.screens.runs import RunsScreen
from golden import golden_lines, golden_run, running_run

SCREENS = Path(__file__).parent / "data" / "screens"
SIZES = [(120, 36), (80, 24), (40, 12)]


def text_of(app):
    strips = app.screen._compositor.render_strips()
    return "\n".join(strip.text.rstrip() for strip in strips) + "\n"


def assert_looks_like(app, name):
    path = SCREENS / f"{name}.txt"
    seen = text_of(app)
    if os.environ.get("UPDATE_SCREENS"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(seen, encoding="utf-8")
    assert seen == path.read_text(encoding="utf-8"), f"see tests/data/README.md; now:\n{seen}"


def rewritten(run, change):
    """Pass every event of the run's log through `change`."""
    lines = [to_line(change(from_line(line))) for line in run.events.read_text().splitlines()]
    run.events.write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", ["completed", "stopped", "failed"])
async def test_an_ended_run(tmp_path, name, size):
    app = Dashboard(RunScreen(golden_run(tmp_path, name)))
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        assert_looks_like(app, f"{name}-{size[0]}x{size[1]}")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("name", "lines"), [("mid-epoch", 60), ("validating", 62), ("first", 6)])
async def test_a_run_in_progress(tmp_path, name, lines, size):
    app = Dashboard(RunScreen(running_run(tmp_path, lines)))
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        assert_looks_like(app, f"{name}-{size[0]}x{size[1]}")


async def test_stages_are_named_before_there_is_anything_else(tmp_path):
    app = Dashboard(RunScreen(running_run(tmp_path, lines=2)))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert "Loading PyTorch" in text_of(app)
        with app.screen._run_directory.events.open("a") as log:
            log.write(to_line(events.StageStarted(stage="data")) + "\n")
            what = events.StageProgressed(what="decoding images", done=12_000, total=60_000)
            log.write(to_line(what) + "\n")
        app.screen._poll()
        await pilot.pause()
        text = text_of(app)
        assert "Loading images" in text
        assert "decoding images  12,000/60,000" in text


async def test_what_is_appended_appears(tmp_path):
    run = running_run(tmp_path, lines=60)
    app = Dashboard(RunScreen(run))
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.pause()
        assert "Done after" not in text_of(app)
        golden_run(tmp_path / "whole", "completed").events.rename(run.events)
        app.screen._poll()
        await pilot.pause()
        assert "Done after" in text_of(app)
        assert "Accuracy by class ─ test" in text_of(app)


async def test_hostile_names_are_text(tmp_path):
    hostile = ["[red]a", "[/nope]", "[@click=app.exit]x", "\x1b[2Jb", "c\nd", "\u202ee", "é" * 500]
    run = golden_run(tmp_path, "completed")

    def change(event):
        match event:
            case events.RunPrepared():
                names = (*hostile, *event.classes[len(hostile) :])
                return dataclasses.replace(event, classes=names, source="[b]\x1b]0;x\x07")
            case events.RunStarted():
                return dataclasses.replace(event, name="[@click=app.exit]n", preset="[/x]")
        return event

    rewritten(run, change)
    app = Dashboard(RunScreen(run))
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.pause()
        text = text_of(app)
    assert "[red]a" in text
    assert "[/nope]" in text
    assert r"\x1b[2Jb" in text
    assert "\x1b" not in text
    assert "[@click=app.exit]n" in text


async def test_a_thousand_classes_can_be_scrolled(tmp_path):
    run = golden_run(tmp_path, "completed")
    many = 1000

    def change(event):
        match event:
            case events.RunPrepared():
                names = tuple(f"class {number}" for number in range(many))
                return dataclasses.replace(event, classes=names)
            case events.EpochFinished() | events.TestFinished():
                counts = tuple(number % 11 for number in range(many))
                return dataclasses.replace(event, correct=counts, total=(10,) * many)
        return event

    rewritten(run, change)
    app = Dashboard(RunScreen(run))
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.pause()
        grid = app.screen.query_one("ClassGrid")
        assert "class 0 " in text_of(app)
        grid.focus()
        await pilot.press("end")
        await pilot.wait_for_scheduled_animations()
        await pilot.pause()
        assert "class 999" in text_of(app)


async def test_losses_that_are_no_numbers_are_shown_as_such(tmp_path):
    run = golden_run(tmp_path, "completed")

    def change(event):
        if isinstance(event, events.EpochFinished) and event.epoch % 3 == 0:
            return dataclasses.replace(event, val_loss=float("nan"), train_loss=float("inf"))
        return event

    rewritten(run, change)
    app = Dashboard(RunScreen(run))
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.pause()
        assert "nan" in text_of(app)
        assert "inf" in text_of(app)


async def test_no_size_breaks_it(tmp_path):
    random.seed(0)
    app = Dashboard(RunScreen(golden_run(tmp_path, "completed")))
    async with app.run_test(size=(120, 36)) as pilot:
        for _ in range(60):
            await pilot.resize_terminal(random.randint(1, 220), random.randint(1, 70))
        await pilot.resize_terminal(1, 1)
        await pilot.resize_terminal(120, 36)
        await pilot.pause()
        assert_looks_like(app, "completed-120x36")


async def test_an_idle_screen_repaints_nothing(tmp_path):
    app = Dashboard(RunScreen(golden_run(tmp_path, "completed")))
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.pause()
        painted = []
        for panel in app.screen.query("Panel"):
            panel.refresh = lambda *regions, **_: painted.append(regions)
        for _ in range(3):
            app.screen._poll()
            await pilot.pause()
        assert painted == []


# Keys.


def asked_of(run):
    return list(CommandReader(run.commands).poll())


async def test_leaving_a_run_that_trains_here_asks_and_can_be_declined(tmp_path):
    run = running_run(tmp_path, lines=60)
    app = Dashboard(RunScreen(run, trains_here=True))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("q")
        assert isinstance(app.screen, Confirm)
        assert_looks_like(app, "confirm-80x24")
        await pilot.press("n")
        assert isinstance(app.screen, RunScreen)
        assert asked_of(run) == []


@pytest.mark.parametrize(
    ("key", "by"), [("q", "key"), ("s", "key"), ("ctrl+c", "SIGINT"), ("escape", "key")]
)
async def test_stopping_is_asked_of_the_engine(tmp_path, key, by):
    run = running_run(tmp_path, lines=60)
    app = Dashboard(RunScreen(run, trains_here=True))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press(key, "y")
        assert [command.by for command in asked_of(run)] == [by]
        assert "stopping" in text_of(app)


async def test_a_watched_run_is_left_without_a_question(tmp_path):
    run = running_run(tmp_path, lines=60)
    with Recorder(run):
        app = Dashboard(RunScreen(run))
        async with app.run_test(size=(80, 24)) as pilot:
            await pilot.press("q")
            assert not isinstance(app.screen, Confirm)
    assert asked_of(run) == []
    assert app.return_code == 0


async def test_a_run_that_nobody_writes_is_interrupted_and_cannot_be_stopped(tmp_path):
    run = running_run(tmp_path, lines=60)
    first, *rest = run.events.read_text().splitlines()
    here = json.dumps(json.loads(first) | {"host": os.uname().nodename})
    run.events.write_text("\n".join([here, *rest]) + "\n")
    app = Dashboard(RunScreen(run))
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.pause()
        assert "◌ interrupted" in text_of(app)
        await pilot.press("s")
        assert not isinstance(app.screen, Confirm)


# The list of runs.


async def test_runs_are_listed_and_opened(tmp_path):
    golden_run(tmp_path, "completed", "1124-0412-amber")
    golden_run(tmp_path, "failed", "1124-0500-teal")
    app = Dashboard(RunsScreen(tmp_path))
    async with app.run_test(size=(120, 20)) as pilot:
        await pilot.pause()
        text = text_of(app)
        assert text.index("1124-0500-teal") < text.index("1124-0412-amber")
        assert "✗ failed" in text
        await pilot.press("down", "enter")
        await pilot.pause()
        assert isinstance(app.screen, RunScreen)
        assert "baseline" in text_of(app)
        await pilot.press("escape")
        assert isinstance(app.screen, RunsScreen)
        golden_run(tmp_path, "stopped", "1124-0600-jade")
        app.screen._refresh_table()
        await pilot.pause()
        assert "1124-0600-jade" in text_of(app)


async def test_without_runs_it_says_how_to_start_one(tmp_path):
    app = Dashboard(RunsScreen(tmp_path / "runs"))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert "cnn-tui run" in text_of(app)


def test_golden_logs_are_whole():
    for name in ("completed", "stopped", "failed"):
        assert all(from_line(line) is not None for line in golden_lines(name))
