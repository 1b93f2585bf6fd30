"""The screens of golden logs, compared with saved text at several terminal sizes."""

import dataclasses
import random
import re

import pytest

from cnn_engine.runlog import events
from cnn_engine.runlog.lines import from_line, to_line
from cnn_engine.runs.summary import read_summary
from cnn_tui.dashboard.app import Dashboard
from cnn_tui.dashboard.screens.run import RunScreen
from cnn_tui.dashboard.screens.runs import RunsScreen
from cnn_tui.exports.formats import RECORD_FORMATS, export_record
from cnn_tui.reports.run import show_run
from cnn_tui.reports.runs import print_runs
from cnn_tui.settings import Options
from event_samples import steps
from golden import NOW, add_events, golden_lines, golden_run, rewrite_events, running_run
from loops_for_tests import classifier, gan, loop_run
from pilot import (
    SIZES,
    TWO_SIZES,
    assert_screen,
    press,
    repaints_while_idle,
    screen_text,
    settle,
    wait_for_text,
)

pytestmark = pytest.mark.usefixtures("fixed_time")


def waiting(runs_dir):
    return running_run(runs_dir, lines=2)


def mid_epoch(runs_dir):
    return running_run(runs_dir, lines=60)


def paused(runs_dir):
    return add_events(
        mid_epoch(runs_dir), events.CommandApplied(time=NOW - 1, command="pause", by="key")
    )


def completed(runs_dir):
    return golden_run(runs_dir, "completed")


def stopped(runs_dir):
    return golden_run(runs_dir, "stopped")


def failed(runs_dir):
    return golden_run(runs_dir, "failed")


def resumed(runs_dir):
    return golden_run(runs_dir, "resumed")


def not_a_number(runs_dir):
    def change(event):
        if isinstance(event, events.EpochFinished) and event.epoch % 3 == 0:
            return dataclasses.replace(event, val_loss=float("nan"), train_loss=float("inf"))
        if isinstance(event, events.StepsFinished) and event.epoch == 3:
            return dataclasses.replace(event, loss=float("nan"), loss_max=float("nan"))
        return event

    return rewrite_events(completed(runs_dir), change)


def many_classes(runs_dir):
    class_count = 1000

    def change(event):
        match event:
            case events.RunPrepared():
                names = tuple(f"class {number}" for number in range(class_count))
                return dataclasses.replace(event, classes=names)
            case events.EpochFinished() | events.TestFinished():
                counts = tuple(number % 11 for number in range(class_count))
                wrong = tuple(
                    (number, (number + 7) % class_count, 10 - count)
                    for number, count in enumerate(counts)
                    if count < 10
                )
                return dataclasses.replace(
                    event, correct=counts, total=(10,) * class_count, confusion=wrong
                )
        return event

    return rewrite_events(completed(runs_dir), change)


STATES = [
    waiting,
    mid_epoch,
    paused,
    completed,
    stopped,
    resumed,
    failed,
    not_a_number,
    many_classes,
]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("state", STATES)
async def test_run_screen_matches_saved_screen(tmp_path, state, size):
    app = Dashboard(RunScreen(state(tmp_path)))
    async with app.run_test(size=size) as pilot:
        await settle(pilot)
        await assert_screen(pilot, f"{state.__name__}-{size[0]}x{size[1]}")


@pytest.mark.parametrize("size", [(120, 36), (80, 24)])
@pytest.mark.parametrize("loop", [classifier, gan])
async def test_screen_of_another_loop_matches_saved_screen(tmp_path, loop, size):
    logged = list(loop())[:-20]
    app = Dashboard(RunScreen(loop_run(tmp_path, logged)))
    async with app.run_test(size=size) as pilot:
        await settle(pilot)
        await assert_screen(pilot, f"loop-{loop.__name__}-{size[0]}x{size[1]}")
        if size == (120, 36) and loop is gan:
            await press(pilot, "left")
            assert app.screen.view.metric_grid.view.cursor is not None
            for view, reason in {
                "2": "no results by class: another training loop logs this run",
                "3": "no images of mistakes: another training loop",
                "4": "no layers: another training loop logs this run",
            }.items():
                await press(pilot, view)
                assert reason in screen_text(app)


async def test_live_of_a_loop_shows_only_panels_with_content(tmp_path):
    """Epochs, checkpoints and machine appear as soon as the loop has logged some."""
    run = loop_run(tmp_path, gan())
    machine = events.MachineMeasured(
        cpu=0.1,
        memory_bytes=1,
        memory_total_bytes=2,
        memory_available_bytes=1,
        disk_free_bytes=1,
    )
    epoch = next(event for event in classifier() if isinstance(event, events.EpochFinished))
    app = Dashboard(RunScreen(run))
    async with app.run_test(size=(120, 36)) as pilot:
        await settle(pilot)
        assert _titles(app) == ["Metrics by step"]
        for event, title in (
            (machine, "Machine"),
            (events.CommandApplied(command="pause", by="key"), "Checkpoints"),
            (epoch, "Epochs"),
        ):
            assert title not in _titles(app)
            add_events(run, event)
            app.screen.poll()
            await settle(pilot)
            assert title in _titles(app)


def _titles(app):
    return re.findall("╭─ ([^─]*[^─ ])", screen_text(app))


@pytest.mark.parametrize("size", SIZES)
async def test_ascii_option_shows_ascii_only(tmp_path, size):
    app = Dashboard(RunScreen(mid_epoch(tmp_path)), options=Options(ascii=True))
    async with app.run_test(size=size) as pilot:
        await settle(pilot)
        assert screen_text(app).isascii()
        await assert_screen(pilot, f"ascii-{size[0]}x{size[1]}")
        for key in ("2", "3", "4", "5", "6", "question_mark") if size in TWO_SIZES else ():
            await pilot.press(key)
            await settle(pilot)
            assert screen_text(app).isascii()


@pytest.mark.parametrize("size", TWO_SIZES)
async def test_no_color_uses_default_colors_only(tmp_path, monkeypatch, size):
    monkeypatch.setenv("NO_COLOR", "1")
    app = Dashboard(RunScreen(mid_epoch(tmp_path)))
    async with app.run_test(size=size) as pilot:
        await settle(pilot)
        await assert_screen(pilot, f"no_color-{size[0]}x{size[1]}")
        colors = {
            color.name
            for strip in app.screen._compositor.render_strips()
            for segment in strip
            if segment.style
            for color in (segment.style.color, segment.style.bgcolor)
            if color
        }
        assert colors <= {"default"}


@pytest.mark.parametrize(("ascii_only", "shade"), [(False, "░"), (True, "`")])
async def test_range_of_losses_is_shaded_without_colors(tmp_path, monkeypatch, ascii_only, shade):
    run = running_run(tmp_path, 60)
    for step in (20, 40, 60, 80, 100):
        add_events(run, dataclasses.replace(steps(10, step), loss_min=0.5, loss_max=1.5))
    for no_color in (False, True):
        if no_color:
            monkeypatch.setenv("NO_COLOR", "1")
        app = Dashboard(RunScreen(run), options=Options(ascii=ascii_only))
        async with app.run_test(size=(120, 36)) as pilot:
            await settle(pilot)
            assert (shade * 3 in screen_text(app)) == no_color


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("name", "state", "keys"),
    [
        ("classes", many_classes, "2 o"),
        ("matrix", many_classes, "2 m down right"),
        ("log", completed, "5"),
        ("help", mid_epoch, "question_mark"),
        ("stop", mid_epoch, "s"),
        ("rate", mid_epoch, "r"),
        ("cursor", completed, "left left l m"),
    ],
)
async def test_screen_opened_by_keys_matches_saved_screen(tmp_path, name, state, keys, size):
    app = Dashboard(RunScreen(state(tmp_path), trains_here=True))
    async with app.run_test(size=size) as pilot:
        await press(pilot, *keys.split())
        await assert_screen(pilot, f"{name}-{size[0]}x{size[1]}")


async def test_startup_stages_are_shown(tmp_path):
    run = waiting(tmp_path)
    app = Dashboard(RunScreen(run))
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        assert "Loading PyTorch" in screen_text(app)
        with run.events.open("a") as log:
            log.write(to_line(events.StageStarted(stage="data")) + "\n")
            progress = events.StageProgressed(what="decoding images", done=12_000, total=60_000)
            log.write(to_line(progress) + "\n")
        app.screen.poll()
        await settle(pilot)
        text = screen_text(app)
        assert "Loading images" in text
        assert "decoding images  12,000/60,000" in text


async def test_appended_events_are_shown(tmp_path):
    run = running_run(tmp_path, lines=60)
    app = Dashboard(RunScreen(run))
    async with app.run_test(size=(120, 36)) as pilot:
        await settle(pilot)
        assert "Done after" not in screen_text(app)
        golden_run(tmp_path / "whole", "completed").events.rename(run.events)
        app.screen.poll()
        await settle(pilot)
        assert "Done after" in screen_text(app)
        assert "Accuracy by class ─ test" in screen_text(app)


@pytest.mark.parametrize("size", [(120, 36), (80, 24)])
async def test_followed_run_shows_the_same_as_reopened_run(tmp_path, size):
    lines, texts = golden_lines("completed")[:60], []
    for initial in (1, len(lines)):
        run = running_run(tmp_path / str(initial), initial)
        app = Dashboard(RunScreen(run))
        async with app.run_test(size=size) as pilot:
            await settle(pilot)
            for end in range(initial, len(lines) + 1, 7):
                run.events.write_text("\n".join(lines[:end]) + "\n")
                app.screen.poll()
                await settle(pilot)
            run.events.write_text("\n".join(lines) + "\n")
            app.screen.poll()
            await settle(pilot)
            texts.append(screen_text(app))
    assert texts[0] == texts[1]


async def test_hostile_names_are_shown_as_text(tmp_path):
    hostile = ["[red]a", "[/nope]", "[@click=app.exit]x", "\x1b[2Jb", "c\nd", "\u202ee", "é" * 500]
    run = golden_run(tmp_path, "completed")

    def change(event):
        match event:
            case events.RunPrepared():
                names = (*hostile, *event.classes[len(hostile) :])
                source, precision = "[b]\x1b]0;x\x07", "bf\x1b[2J"
                return dataclasses.replace(event, classes=names, source=source, precision=precision)
            case events.RunStarted():
                config = event.config | {"train": event.config["train"] | {"seed": "\x1b[3J"}}
                return dataclasses.replace(
                    event, name="[@click=app.exit]n", preset="[/x]", config=config
                )
        return event

    rewrite_events(run, change)
    app = Dashboard(RunScreen(run))
    async with app.run_test(size=(120, 36)) as pilot:
        await settle(pilot)
        text = screen_text(app)
    assert "[red]a" in text
    assert "[/nope]" in text
    assert r"\x1b[2Jb" in text
    assert r"bf\x1b[2J · seed \x1b[3J" in text
    assert "\x1b" not in text
    assert "[@click=app.exit]n" in text


async def test_random_resizes_restore_the_screen(tmp_path):
    random.seed(0)
    app = Dashboard(RunScreen(golden_run(tmp_path, "completed")))
    async with app.run_test(size=(120, 36)) as pilot:
        for _ in range(20):
            await pilot.resize_terminal(random.randint(1, 220), random.randint(1, 70))
        await pilot.resize_terminal(1, 1)
        await pilot.resize_terminal(120, 36)
        await settle(pilot)
        await assert_screen(pilot, "completed-120x36")


@pytest.mark.parametrize("size", TWO_SIZES)
async def test_log_follows_newest_line_until_scrolled(tmp_path, size):
    run = running_run(tmp_path, lines=100)
    app = Dashboard(RunScreen(run))

    async def add(text):
        with run.console.open("a") as console:
            console.write(f"{text}\n")
        app.screen.poll()
        await settle(pilot)

    async with app.run_test(size=size) as pilot:
        await press(pilot, "5")
        await add("first line")
        await wait_for_text(pilot, "first line")
        await pilot.resize_terminal(size[0] - 1, size[1] - 1)
        await settle(pilot)
        await add("second line")
        await wait_for_text(pilot, "second line")
        await pilot.press("up", "up", "up", "up")
        await add("third line")
        assert "third line" not in screen_text(app)
        await pilot.press("f")
        await settle(pilot)
        await add("fourth line")
        await wait_for_text(pilot, "fourth line")


async def test_idle_run_screen_repaints_nothing(tmp_path):
    app = Dashboard(RunScreen(golden_run(tmp_path, "completed")))
    async with app.run_test(size=(120, 36)) as pilot:
        await settle(pilot)
        assert await repaints_while_idle(pilot) == []


# The list of runs.


async def test_runs_are_listed_and_opened(tmp_path):
    golden_run(tmp_path, "completed", "1124-0412-amber")
    golden_run(tmp_path, "failed", "1124-0500-teal")
    app = Dashboard(RunsScreen(tmp_path))
    async with app.run_test(size=(120, 20)) as pilot:
        await settle(pilot)
        text = screen_text(app)
        assert text.index("1124-0500-teal") < text.index("1124-0412-amber")
        assert "✗ failed" in text
        await pilot.press("down", "enter")
        await settle(pilot)
        assert isinstance(app.screen, RunScreen)
        assert "baseline" in screen_text(app)
        await pilot.press("escape")
        assert isinstance(app.screen, RunsScreen)
        golden_run(tmp_path, "stopped", "1124-0600-jade")
        app.screen.poll()
        await settle(pilot)
        assert "1124-0600-jade" in screen_text(app)


@pytest.mark.parametrize("size", SIZES)
async def test_empty_list_shows_what_can_be_trained(tmp_path, size):
    app = Dashboard(RunsScreen(tmp_path / "runs"))
    async with app.run_test(size=size) as pilot:
        await settle(pilot)
        text = screen_text(app)
        assert "No runs yet. n starts one" in text
        assert ("digits         1,797" in text) == (size != (40, 12))
        assert ("cnn-tui run PRESET" in text) == (size != (40, 12))


def test_golden_logs_have_no_invalid_line():
    for name in ("completed", "stopped", "failed"):
        assert all(from_line(line) is not None for line in golden_lines(name))


EVENT_KINDS = sorted({type(from_line(line)).__name__ for line in golden_lines("completed")})


@pytest.mark.parametrize("removed", [*EVENT_KINDS, "every second line"])
async def test_readable_part_of_damaged_log_is_shown(tmp_path, capsys, removed):
    run = golden_run(tmp_path, "completed")
    remaining = [
        line
        for number, line in enumerate(golden_lines("completed"))
        if f'"kind":"{removed}"' not in line and not (removed == "every second line" and number % 2)
    ]
    run.events.write_text("\n".join(remaining) + "\n")
    app = Dashboard(RunScreen(run))
    async with app.run_test(size=(120, 36)) as pilot:
        for view in "123456":
            await pilot.press(view)
            await settle(pilot)
            assert "q quit" in screen_text(app)
    show_run(run)
    print_runs([read_summary(run)])
    assert run.id in capsys.readouterr().out
    for format_ in RECORD_FORMATS:
        export_record([run], format_, tmp_path / f"export-{format_}")
