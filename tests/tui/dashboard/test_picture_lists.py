"""The lists of the Mistakes view: validation and suspects, marks of images, heatmaps."""

import csv
import dataclasses
import os
import re

import pytest

from cnn_engine.data.marks import MARKS_FILE, Marked, read_marks, write_marks
from cnn_engine.results.heatmap import Heatmap
from cnn_engine.results.mistakes import VALIDATION_MISTAKES_FILE, Mistake, encode_mistakes
from cnn_engine.results.suspects import SUSPECTS_FILE, Suspect, Suspects, encode_suspects
from cnn_engine.runlog.events import EpochFinished, RunStarted
from cnn_engine.runs.summary import read_state
from cnn_tui.dashboard.app import Dashboard
from cnn_tui.dashboard.screens.run import RunScreen
from cnn_tui.dashboard.views import mistakes as mistakes_view
from cnn_tui.dashboard.widgets.picture_grid import PictureGrid
from cnn_tui.settings import Options
from golden import golden_lines, golden_run, rewrite_events, running_run
from loops_for_tests import finished, gan, loop_run
from pilot import SIZES, assert_screen, press, record_repaints, repaints_while_idle, screen_text
from pilot import settle as settled

CLASSES = tuple(map(str, range(10)))
SIDE = 8
WRONG = 4
"""Mistakes of each class in every validation."""


def picture(number, **changes):
    """Return the fields of a picture with a bright column, and with a heatmap of its left half."""
    row = bytes(255 if column == number % SIDE else 40 for column in range(SIDE))
    heatmap = Heatmap(values=bytes([255, 0]), width=2, height=1)
    fields = {"pixels": row * SIDE, "width": SIDE, "height": SIDE, "channels": 1}
    return fields | {"heatmap": heatmap} | changes


def suspect(number, kind="label", **changes):
    values = {"kind": kind, "name": f"{number % 10}/{number:03}.png", "label": number % 10}
    values |= {"likely": (number + 1) % 10, "score": 0.99 - number / 1000}
    return Suspect(**values | picture(number) | changes)


def some_suspects():
    """Return suspects of all kinds."""
    return [
        *map(suspect, range(34)),
        *(suspect(number, "duplicate", other=f"5/{number}-twin.png") for number in range(40, 43)),
        *(suspect(number, "outlier", likely=number % 10) for number in range(50, 62)),
    ]


def write_suspects(run, suspects):
    file = Suspects(method="area under the margin", classes=list(CLASSES), suspects=suspects)
    (run.path / SUSPECTS_FILE).write_bytes(encode_suspects(file))


def write_validation(run, epoch=None, count=20, **changes):
    """Write mistakes that the log's last epoch, or another one, counts; return that epoch."""
    validated = read_state(run)[0].validated_epochs
    epoch = validated[-1] if epoch is None else validated[epoch - 1]
    pairs = [pair[:2] for pair in epoch.confusion for _ in range(pair[2])][:count]
    mistakes = [
        Mistake(
            name=f"{target}/{number:03}.png",
            target=target,
            predicted=predicted,
            confidence=0.9 - number / 1000,
            rank=2,
            **picture(number),
        )
        for number, (target, predicted) in enumerate(pairs)
    ]
    content = encode_mistakes(mistakes, epoch.epoch, "", changes.get("loss", epoch.val_loss))
    (run.path / VALIDATION_MISTAKES_FILE).write_bytes(content)
    return epoch


def of_folder(run, folder, host=None):
    """Rewrite a run's log as if its images were in a folder, with some mistakes; return the run."""
    folder.mkdir(exist_ok=True)

    def change(event):
        if isinstance(event, RunStarted):
            data = event.config["data"] | {"source": "folder", "path": str(folder)}
            return dataclasses.replace(
                event,
                config=event.config | {"data": data},
                host=host or os.uname().nodename,
            )
        if isinstance(event, EpochFinished) and event.total:
            correct = tuple(max(0, images - WRONG) for images in event.total)
            confusion = tuple((target, (target + 1) % 10, WRONG) for target in range(10))
            return dataclasses.replace(event, correct=correct, confusion=confusion)
        return event

    return rewrite_events(run, change)


@pytest.fixture
def photos(tmp_path):
    """Return the folder of the run's images."""
    return tmp_path / "photos"


@pytest.fixture
def run(tmp_path, photos):
    """Return a finished run with suspects, without pictures of its test's mistakes."""
    run = of_folder(golden_run(tmp_path / "runs", "completed"), photos)
    write_suspects(run, some_suspects())
    return run


@pytest.fixture
def live_run(tmp_path, photos):
    """Return a run in training that has validated, with the mistakes of its last validation."""
    run = of_folder(running_run(tmp_path / "runs", 60), photos)
    write_validation(run)
    return run


def grid_of(app):
    return app.screen.query_one(PictureGrid)


def selected(app):
    return grid_of(app).selected_tile.name


# Lists.


@pytest.fixture
def unlimited(monkeypatch):
    """Draw new images at once."""
    monkeypatch.setattr(mistakes_view, "IMAGE_BYTES_PER_SECOND", 1e12)


@pytest.mark.usefixtures("unlimited")
async def test_validation_is_shown_live_and_redrawn_only_after_a_change(live_run):
    app = Dashboard(RunScreen(live_run, trains_here=True))
    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "3")
        state = app.screen.state
        wrong = sum(state.epochs[-1].total) - sum(state.epochs[-1].correct)
        title = f"Mistakes ─ validation, epoch {state.epochs[-1].epoch} ─ 20 of {wrong},"
        assert title in screen_text(app)
        await press(pilot, "right", "right")
        name = selected(app)
        write_validation(live_run, count=12)
        app.screen.poll()
        await settled(pilot)
        assert f"12 of {wrong}" in screen_text(app)
        assert selected(app) == name
        assert await repaints_while_idle(pilot) == []
        write_validation(live_run, count=12)  # a new file of the same content
        assert await repaints_while_idle(pilot) == []


async def test_images_of_validations_keep_within_the_byte_budget(live_run):
    app = Dashboard(RunScreen(live_run, trains_here=True))
    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "3")
        for count, shown in ((19, 19), (18, 19), (17, 19)):  # the second one has to wait
            write_validation(live_run, count=count)
            app.screen.poll()
            await settled(pilot)
            assert len(app.screen.view.pictures.mistakes) == shown
        await press(pilot, "v", "end", "l")  # a mark is shown at once, with the newest images
        assert len(app.screen.view.pictures.mistakes) == 17


@pytest.mark.usefixtures("unlimited")
async def test_selection_stays_on_an_image_whose_rank_changes(live_run):
    app = Dashboard(RunScreen(live_run, trains_here=True))
    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "3", *["right"] * 5)
        name = selected(app)
        mistakes = app.screen.view.pictures.mistakes[2:]
        epoch = app.screen.state.epochs[-1]
        content = encode_mistakes(mistakes, epoch.epoch, "", epoch.val_loss)
        (live_run.path / VALIDATION_MISTAKES_FILE).write_bytes(content)
        app.screen.poll()
        await settled(pilot)
        assert selected(app) == name
        assert grid_of(app).selected == 3


async def test_test_replaces_validation_and_v_switches_lists(run):
    write_validation(run)
    lines = golden_lines("completed")
    whole = run.events.read_text()
    before = next(number for number, line in enumerate(lines) if '"TestFinished"' in line)
    run.events.write_text("".join(whole.splitlines(keepends=True)[:before]))
    app = Dashboard(RunScreen(run, trains_here=True))
    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "3")
        assert "Mistakes ─ validation, epoch" in screen_text(app)
        run.events.write_text(whole)
        app.screen.poll()
        await settled(pilot)
        assert "Mistakes ─ test" in screen_text(app)
        assert "mistakes.json is missing; recreate it with: cnn-tui test" in screen_text(app)
        assert "v validation" in screen_text(app)
        await press(pilot, "v")
        assert "v suspects" in screen_text(app)
        await press(pilot, "v")
        text = screen_text(app)
        assert "Suspects ─ 34 labels, 3 near-duplicates, 12 outliers" in text
        assert "v test" in text
        await press(pilot, "v")
        assert "Mistakes ─ test" in screen_text(app)


async def test_cell_of_the_matrix_opens_mistakes_of_its_part(live_run):
    app = Dashboard(RunScreen(live_run, trains_here=True))
    async with app.run_test(size=(120, 36)) as pilot:
        await settled(pilot)
        target, predicted, count = max(
            app.screen.state.epochs[-1].confusion, key=lambda pair: pair[2]
        )
        write_validation(live_run, count=1000)
        await press(pilot, "2", *["down"] * target, *["right"] * predicted, "enter")
        assert f"{target} predicted as {predicted} ─ {count}," in screen_text(app)
        assert "Mistakes ─ validation" in screen_text(app)
        await press(pilot, "escape")
        assert "predicted as" not in screen_text(app)


@pytest.mark.parametrize("content", [b"", b"{", b'{"format": 99}', "other epoch"])
async def test_damaged_validation_file_is_a_sentence(live_run, content):
    if content == "other epoch":
        write_validation(live_run, loss=77.0)
    else:
        (live_run.path / VALIDATION_MISTAKES_FILE).write_bytes(content)
    app = Dashboard(RunScreen(live_run, trains_here=True))
    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "3")
        app.screen.poll()
        await settled(pilot)
        text = re.sub(r"[│\s]", "", screen_text(app))  # a long path takes several lines
        assert VALIDATION_MISTAKES_FILE in text
        await press(pilot, "enter", "l", "m", "end", "w")
        (live_run.path / VALIDATION_MISTAKES_FILE).unlink()
        app.screen.poll()
        await settled(pilot)
        assert "available after the final test" in screen_text(app)


async def test_only_list_says_why_there_is_no_other(tmp_path, live_run):
    app = Dashboard(RunScreen(live_run, trains_here=True))
    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "3", "v")
        assert "No other list yet: suspects are found at the end of training" in screen_text(app)
    app = Dashboard(RunScreen(golden_run(tmp_path, "completed", "1124-0412-other")))
    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "3", "v")
        assert "find suspects with: cnn-tui data suspects" in screen_text(app)
    app = Dashboard(RunScreen(loop_run(tmp_path, finished(gan()))))
    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "3", "v")
        assert "No other images: another training loop logs this run" in screen_text(app)


async def test_a_shows_one_kind_after_the_other(run):
    app = Dashboard(RunScreen(run))
    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "3", "v", "a")
        assert "Suspects ─ 34 labels, the most" in screen_text(app)
        await press(pilot, "a")
        text = screen_text(app)
        assert "Suspects ─ 3 near-duplicates, the most" in text
        assert "≈ 1" in text
        assert "40-twin.png" in text
        await press(pilot, "enter")
        assert "5/40-twin.png" in screen_text(app)
        await press(pilot, "a")
        assert "Suspects ─ 12 outliers, the most" in screen_text(app)
        await press(pilot, "escape")
        assert "34 labels, 3 near-duplicates" in screen_text(app)


# Marks.


async def test_marks_are_written_at_once_and_shown(run, photos):
    app = Dashboard(RunScreen(run))
    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "3", "v", "l", "minus", "k")
        assert read_marks(photos) == {
            "0/000.png": Marked("relabel", "1"),
            "1/001.png": Marked("drop"),
            "2/002.png": Marked("keep"),
        }
        assert grid_of(app).selected == 3
        text = screen_text(app)
        for mark in ("▸ relabel", "✗ drop", "✓ keep"):
            assert mark in text
        assert "Marked: 1 relabel, 1 drop, 1 keep; the next run honours the marks" in text
        marks = read_marks(photos)  # another terminal
        write_marks(photos, marks | {"3/003.png": Marked("relabel", "9")})
        app.screen.poll()
        await settled(pilot)
        assert "▸ relabel 9" in screen_text(app)
        await press(pilot, "home", "u")
        assert "0/000.png" not in read_marks(photos)
        assert read_marks(photos)["3/003.png"] == Marked("relabel", "9")
        await press(pilot, "right", "enter")
        assert "mark        ✓ keep" in screen_text(app)


async def test_mistakes_are_marked_too(live_run, photos):
    app = Dashboard(RunScreen(live_run, trains_here=True))
    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "3")
        first = app.screen.view.pictures.mistakes[0]
        await press(pilot, "l", "k")
        marks = read_marks(photos)
        assert marks[first.name] == Marked("relabel", CLASSES[first.predicted])
        assert len(marks) == 2


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        ("read-only", "cannot be written: Permission denied"),
        ("damaged", "has no column path"),
        ("gone", "The images' folder is missing"),
        ("elsewhere", "not on this machine, but on amber"),
        ("no files", "The images of digits are not files"),
    ],
)
async def test_images_that_cannot_be_marked_are_one_notice(run, photos, problem, text):
    if problem == "read-only":
        photos.chmod(0o500)
        if os.access(photos, os.W_OK):
            pytest.skip("root may write everywhere")
    elif problem == "damaged":
        (photos / MARKS_FILE).write_text("hello\nworld\n")
    elif problem == "no files":
        rewrite_events(run, _of_digits)
    else:
        of_folder(run, photos, host="amber" if problem == "elsewhere" else None)
        photos.rmdir()
    app = Dashboard(RunScreen(run))
    async with app.run_test(size=(200, 36)) as pilot:
        await press(pilot, "3", "v", "right", "minus")
        assert text in screen_text(app)
        assert grid_of(app).selected == 1
        assert "✗" not in screen_text(app)


def _of_digits(event):
    if isinstance(event, RunStarted):
        data = event.config["data"] | {"source": "digits", "path": None}
        return dataclasses.replace(event, config=event.config | {"data": data})
    return event


async def test_outlier_without_likelier_class_is_not_relabelled(run, photos):
    app = Dashboard(RunScreen(run))
    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "3", "v", "end", "l")
        assert "No class is known to be likelier" in screen_text(app)
        assert not (photos / MARKS_FILE).exists()


# Heatmaps, CSV, mouse.


async def test_m_draws_heatmaps(run):
    app = Dashboard(RunScreen(run), options=Options(ascii=True))
    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "3", "v")
        before = screen_text(app)
        await press(pilot, "m")
        assert "heatmap . 0/000.png" in screen_text(app)
        assert len(before.replace(" ", "")) > len(screen_text(app).replace(" ", ""))
        await press(pilot, "enter", "m", "enter")
        assert screen_text(app) == before
        write_suspects(run, [suspect(0, heatmap=None)])
        app.screen.poll()
        await press(pilot, "m")
        assert "No heatmap of this image" in screen_text(app)


async def test_w_writes_the_list_that_is_shown(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_validation(run)
    app = Dashboard(RunScreen(run))
    async with app.run_test(size=(200, 36)) as pilot:
        await press(pilot, "3", "v", "w")
        assert "20 mistakes written to" in screen_text(app)
        await press(pilot, "v", "a", "a", "w")
        assert "3 suspects written to" in screen_text(app)
    with (tmp_path / f"{run.id}-validation-mistakes.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 20
    with (tmp_path / f"{run.id}-suspects.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["other"] for row in rows] == [f"5/{n}-twin.png" for n in range(40, 43)]


async def test_click_selects_and_enlarges(run):
    app = Dashboard(RunScreen(run))
    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "3", "v")
        grid = grid_of(app)
        cells = grid._layout.cells
        await pilot.click(PictureGrid, offset=(2 + cells + 4, 4))
        assert (grid.selected, grid.view.is_enlarged) == (1, False)
        await pilot.click(PictureGrid, offset=(2 + cells + 4, 4))
        assert grid.view.is_enlarged
        await pilot.click(PictureGrid, offset=(2 + cells + 4, 4))
        assert (grid.selected, grid.view.is_enlarged) == (1, False)


# Layouts.


@pytest.mark.parametrize("size", SIZES)
async def test_suspects_match_saved_screen(run, photos, size):
    write_marks(photos, {"0/000.png": Marked("relabel", "1"), "1/001.png": Marked("drop")})
    app = Dashboard(RunScreen(run))
    async with app.run_test(size=size) as pilot:
        await press(pilot, "3", "v")
        await assert_screen(pilot, f"suspects-{size[0]}x{size[1]}")


async def test_hundreds_of_suspects_with_long_names_at_any_size(run):
    names = ["é" * 500, "[/nope]", "\x1b[2J", "\udcff", "a/" * 200 + "b.jpg"]
    suspects = [suspect(number, name=names[number % 5], other=names[0]) for number in range(300)]
    write_suspects(run, [*suspects, suspect(1, "duplicate", other=names[4])])
    app = Dashboard(RunScreen(run))
    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "3", "v")
        for width, height in ((1, 1), (3, 2), (20, 5), (40, 12), (220, 70), (31, 60)):
            await pilot.resize_terminal(width, height)
            await pilot.press("end", "enter", "m", "left", "enter", "pageup", "m")
        await settled(pilot)
        assert app.is_running
        write_suspects(run, [])
        await pilot.resize_terminal(120, 36)
        app.screen.poll()
        await press(pilot, "end", "l")
        assert "no suspicious images, by area under the margin" in screen_text(app)
        repaints = record_repaints(app.screen.query("Panel"))
        app.screen.poll()
        await settled(pilot)
        assert repaints == []
