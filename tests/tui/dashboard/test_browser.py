"""The browser of runs: what it shows, what its keys do, and how little it reads and writes."""

import os
import time

import pytest
from textual.widgets import Input, Label

from cnn_engine.runs.directory import RunDirectory, list_runs
from cnn_engine.runs.marks import Marks, read_marks, write_marks
from cnn_engine.runs.recorder import Recorder
from cnn_engine.runs.summary import read_state, read_summary
from cnn_engine.runs.trash import list_trash
from cnn_tui.dashboard.app import Dashboard
from cnn_tui.dashboard.dialogs.choice import ChoiceDialog
from cnn_tui.dashboard.dialogs.new_run import NewRunDialog
from cnn_tui.dashboard.dialogs.value import ValueDialog
from cnn_tui.dashboard.screens.run import RunScreen
from cnn_tui.dashboard.screens.runs import RunsScreen
from golden import golden_run, running_run
from pilot import settle, text_of
from runs_for_tests import RunForTests, wait_until

SIZES = [(200, 60), (120, 36), (80, 24), (60, 20), (40, 12), (1, 1)]


@pytest.fixture
def runs_dir(tmp_path):
    """Four runs: b and d done, c stopped, a failed; listed as d, c, b, a."""
    for run_id, name in (("a", "failed"), ("b", "completed"), ("c", "stopped"), ("d", "completed")):
        golden_run(tmp_path / "runs", name, run_id)
    order = {"d": 4, "c": 3, "b": 2, "a": 1}
    for run in list_runs(tmp_path / "runs"):
        text = run.events.read_text()
        first, _, rest = text.partition("\n")
        start = first.partition('"time":')[2].partition(",")[0]
        run.events.write_text(first.replace(start, str(1795510000.0 + order[run.id])) + "\n" + rest)
    return tmp_path / "runs"


def browser(runs_dir):
    return Dashboard(RunsScreen(runs_dir))


async def pressed(pilot, *keys):
    await settle(pilot)
    await pilot.press(*keys)
    await settle(pilot)


def shown(app):
    """Ids in the table, from top to bottom."""
    return "".join(run.run_id for run in app.screen.rows.runs)


def current(app):
    return app.screen.rows.current.run_id


@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_it_fits_any_terminal(runs_dir, size):
    app = browser(runs_dir)
    async with app.run_test(size=size) as pilot:
        await pressed(pilot, "down", "down", "slash", *"acc>0.5", "enter", "greater_than_sign")
        assert shown(app)
        assert app.is_running
        if size[0] >= 40:
            assert all(f" {run_id} " in text_of(app) for run_id in "bcd")
        await pressed(pilot, "l")
        assert isinstance(app.screen, NewRunDialog)
    assert app.return_code in (0, None)


async def test_the_cursor_stays_on_its_run_once_it_was_put_there(runs_dir):
    app = browser(runs_dir)
    async with app.run_test(size=(100, 24)) as pilot:
        await pressed(pilot, "i")
        assert (shown(app), current(app)) == ("abcd", "a")
        await pressed(pilot, "down", "i")
        assert (shown(app), current(app)) == ("dcba", "b")


async def test_it_tells_what_there_is_of_every_run(runs_dir):
    app = browser(runs_dir)
    async with app.run_test(size=(120, 36)) as pilot:
        await pressed(pilot, "down")
        text = text_of(app)
        assert "4 runs" in text
        for words in ("✓ done", "■ stopped", "✗ failed", "99.7%", "started▾", "baseline"):
            assert words in text
        assert "of 2000 epochs" in text  # beside the table, of the stopped run
        assert "train.epochs  20 → 2000" in text
        assert "▸   c" in text


async def test_a_filter_is_checked_and_shown_as_it_is_typed(runs_dir):
    app = browser(runs_dir)
    async with app.run_test(size=(100, 24)) as pilot:
        await pressed(pilot, "slash", *"status=done")
        assert shown(app) == "db"
        assert "2 of 4 runs" in text_of(app)
        await pressed(pilot, *" acx>1")
        assert "unknown column 'acx'; did you mean 'acc'?" in text_of(app)
        assert shown(app) == ""  # of the last that meant something: `status=done acx`
        await pressed(pilot, *["backspace"] * 6)
        await pressed(pilot, "enter", "q")  # no longer a letter of the filter
    assert app.return_code in (0, None)
    assert not app.is_running


async def test_escape_leaves_the_filter_then_the_choice_then_the_program(runs_dir):
    app = browser(runs_dir)
    async with app.run_test(size=(100, 24)) as pilot:
        await pressed(pilot, "space", "slash", *"acc>0", "enter", "escape")
        assert shown(app) == "dcba"
        assert app.screen.rows.selected == {"d"}
        await pressed(pilot, "escape")
        assert app.screen.rows.selected == set()
        await pressed(pilot, "escape")
    assert not app.is_running


async def test_runs_are_sorted_by_columns_or_by_any_key(runs_dir):
    app = browser(runs_dir)
    async with app.run_test(size=(200, 24)) as pilot:
        await pressed(pilot, "i")
        assert shown(app) == "abcd"
        await pressed(pilot, "s", *"train.epochs", "enter")
        assert shown(app)[-1] == "c"
        assert "epochs▴" in text_of(app)
        await pressed(pilot, "s", *"acx", "enter")
        assert isinstance(app.screen, ValueDialog)
        assert "did you mean 'acc'?" in text_of(app)
        await pressed(pilot, "escape", "s", *"run", "enter", "greater_than_sign")
        assert "status▴" in text_of(app)
        await pressed(pilot, "less_than_sign")
        assert (shown(app), app.screen.rows.content.sort_column.key) == ("abcd", "run")


async def test_headings_and_rows_are_clicked(runs_dir):
    app = browser(runs_dir)
    async with app.run_test(size=(120, 24)) as pilot:
        await settle(pilot)
        headings = text_of(app).splitlines()[1]
        await pilot.click("RunTable", offset=(headings.index(" run") + 1, 0))
        await settle(pilot)
        assert shown(app) == "abcd"
        await pilot.click("RunTable", offset=(8, 3))
        await settle(pilot)
        assert current(app) == "c"
        await pilot.click("RunTable", offset=(8, 3))
        await settle(pilot)
        assert isinstance(app.screen, RunScreen)


async def test_a_run_is_opened_and_left(runs_dir):
    app = browser(runs_dir)
    async with app.run_test(size=(100, 24)) as pilot:
        await pressed(pilot, "down", "enter")
        assert isinstance(app.screen, RunScreen)
        assert app.screen.state.started.run_id
        await pressed(pilot, "q")
        assert isinstance(app.screen, RunsScreen)
        assert current(app) == "c"


async def test_a_damaged_run_is_opened_too(tmp_path):
    run = RunDirectory(tmp_path / "broken")
    run.path.mkdir()
    run.events.write_bytes(b"garbage\n" * 20)
    app = browser(tmp_path)
    async with app.run_test(size=(120, 24)) as pilot:
        await settle(pilot)
        assert "✗ damaged" in text_of(app)
        assert "20 lines of the log" in text_of(app)
        await pressed(pilot, "enter")
        assert isinstance(app.screen, RunScreen)


# Marks.


async def test_marks_are_set_by_keys(runs_dir):
    app = browser(runs_dir)
    async with app.run_test(size=(120, 36)) as pilot:
        await pressed(pilot, "asterisk")
        await pressed(pilot, "r", *(["backspace"] * 8), *"mine", "enter")
        await pressed(pilot, "o", *"a note", "enter")
        await pressed(pilot, "number_sign", *"x y", "enter")
        marks = read_marks(RunDirectory(runs_dir / "d"))
        assert marks == Marks(star=True, name="mine", note="a note", tags=("x", "y"))
        for words in ("★ d", "mine", "a note"):
            assert words in text_of(app)
        await pressed(pilot, "asterisk")
        assert not read_marks(RunDirectory(runs_dir / "d")).star


async def test_chosen_runs_are_marked_together(runs_dir):
    write_marks(RunDirectory(runs_dir / "c"), Marks(tags=("old", "own")))
    write_marks(RunDirectory(runs_dir / "d"), Marks(tags=("old",)))
    app = browser(runs_dir)
    async with app.run_test(size=(120, 36)) as pilot:
        await pressed(pilot, "space", "space", "number_sign")
        assert app.screen.query_one(Input).value == "old"
        await pressed(pilot, *["backspace"] * 3, *"new", "enter", "asterisk")
    assert read_marks(RunDirectory(runs_dir / "c")).tags == ("new", "own")
    assert read_marks(RunDirectory(runs_dir / "d")).tags == ("new",)
    assert [read_marks(RunDirectory(runs_dir / run)).star for run in "abcd"] == [0, 0, 1, 1]


@pytest.mark.parametrize(("key", "typed"), [("r", "x" * 90), ("number_sign", "y" * 50)])
async def test_what_cannot_be_a_mark_is_said_and_not_taken(runs_dir, key, typed):
    app = browser(runs_dir)
    async with app.run_test(size=(120, 36)) as pilot:
        await pressed(pilot, key, *typed, "enter")
        assert isinstance(app.screen, ValueDialog)
        assert "at most" in text_of(app)
        await pressed(pilot, "escape")
    assert read_marks(RunDirectory(runs_dir / "d")) == Marks()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
async def test_marks_that_cannot_be_written_are_said(runs_dir):
    (runs_dir / "d").chmod(0o500)
    app = browser(runs_dir)
    async with app.run_test(size=(120, 36)) as pilot:
        await pressed(pilot, "asterisk")
        assert "cannot be written: Permission denied" in text_of(app)
    (runs_dir / "d").chmod(0o700)


async def test_marks_of_another_shell_are_shown(runs_dir):
    app = browser(runs_dir)
    async with app.run_test(size=(120, 36)) as pilot:
        await settle(pilot)
        write_marks(RunDirectory(runs_dir / "b"), Marks(name="renamed"))
        app.screen._read_again()
        await settle(pilot)
        assert "renamed" in text_of(app)


# The trash.


async def test_a_run_is_deleted_and_brought_back(runs_dir):
    app = browser(runs_dir)
    async with app.run_test(size=(100, 24)) as pilot:
        await pressed(pilot, "down", "d")
        assert isinstance(app.screen, ChoiceDialog)
        await pressed(pilot, "n")
        assert shown(app) == "dcba"
        await pressed(pilot, "d", "y")
        assert (shown(app), current(app)) == ("dba", "b")
        assert [run.id for run in list_trash(runs_dir)] == ["c"]
        await pressed(pilot, "u")
        assert shown(app) == "dcba"
        await pressed(pilot, "u")
        assert "The trash is empty" in text_of(app)


async def test_chosen_runs_are_deleted_and_brought_back_one_by_one(runs_dir):
    app = browser(runs_dir)
    async with app.run_test(size=(100, 24)) as pilot:
        await pressed(pilot, "space", "space", "d")
        assert "Delete 2 runs?" in text_of(app)
        await pressed(pilot, "y")
        assert shown(app) == "ba"
        await pressed(pilot, "u")
        assert shown(app) == "cba"
        await pressed(pilot, "u")
        assert shown(app) == "dcba"


async def test_a_live_run_cannot_be_deleted(runs_dir):
    run = running_run(runs_dir, lines=30, run_id="e")
    with Recorder(run):
        app = browser(runs_dir)
        async with app.run_test(size=(100, 24)) as pilot:
            await pressed(pilot, "s", *"-epochs", "enter")
            app.screen.rows.move(-100)
            while current(app) != "e":
                await pressed(pilot, "down")
            await pressed(pilot, "d")
            assert "e is running: stop it first" in text_of(app)
    assert run.events.exists()


# Training.


async def test_a_stopped_run_goes_on_in_the_background(tmp_path):
    run = RunForTests(tmp_path, "train.epochs=3")
    run.ask("stop")
    run.train()
    app = browser(tmp_path)
    async with app.run_test(size=(100, 24)) as pilot:
        await pressed(pilot, "g")
        assert isinstance(app.screen, RunScreen)
        wait_until(lambda: read_summary(run.directory).status == "done")
    assert read_state(run.directory)[0].resumed is not None


async def test_what_is_done_or_never_began_cannot_go_on(runs_dir):
    app = browser(runs_dir)
    async with app.run_test(size=(120, 24)) as pilot:
        await pressed(pilot, "g")
        assert "cnn-tui resume d --epochs 30" in text_of(app)
        (runs_dir / "a" / "events.jsonl").write_text("garbage\n")
        app.screen._read_again()
        await pressed(pilot, "end", "g")
        assert "does not tell what it trained" in text_of(app)
        assert isinstance(app.screen, RunsScreen)


def note_of(app, key):
    return str(app.screen.query_one(f"#key-{key}-note", Label).content)


def entry(app, key):
    return app.screen.query_one(f"#key-{key}", Input)


async def test_a_like_run_with_changes_is_trained(tmp_path):
    first = RunForTests(tmp_path, "train.epochs=1").train().directory
    app = browser(tmp_path)
    async with app.run_test(size=(100, 40)) as pilot:
        await pressed(pilot, "l", *"again")
        assert isinstance(app.screen, NewRunDialog)
        entry(app, "train-seed").value = "3"
        entry(app, "optimizer-lr").value = "fast"
        await settle(pilot)
        assert note_of(app, "train-seed") == "was 0"
        assert "must be a valid number" in note_of(app, "optimizer-lr")
        await pressed(pilot, "enter")
        assert isinstance(app.screen, NewRunDialog)
        entry(app, "optimizer-lr").value = "0.002"
        entry(app, "model-filters").value = "[]"
        await settle(pilot)
        assert note_of(app, "optimizer-lr") == "was 0.001"
        assert note_of(app, "model-filters")
        entry(app, "model-filters").value = "[4]"
        await pressed(pilot, "enter")
        assert isinstance(app.screen, RunScreen)
    second = next(run for run in list_runs(tmp_path) if run.id != first.id)
    wait_until(lambda: read_summary(second).status == "done")
    state, _ = read_state(second)
    assert (state.started.name, state.started.like) == ("again", first.id)
    assert (state.setting("train.seed"), state.setting("optimizer.lr")) == (3, 0.002)
    assert state.setting("model.filters") == [4]
    words = ("--set", "model.filters=[4]", "--set", "optimizer.lr=0.002", "--set", "train.seed=3")
    assert state.started.command == ("cnn-tui", "run", "--like", first.id, *words)


async def test_a_config_that_is_wrong_as_a_whole_says_so(runs_dir):
    app = browser(runs_dir)
    async with app.run_test(size=(100, 60)) as pilot:
        await pressed(pilot, "l")
        entry(app, "data-source").value = "folder"
        await settle(pilot)
        assert "pass the folder of images" in note_of(app, "data-path")
        entry(app, "data-source").value = "digitz"
        await settle(pilot)
        assert "did you mean 'digits'?" in note_of(app, "data-source")
        await pressed(pilot, "escape")
    assert len(list_runs(runs_dir)) == 4


async def test_a_preset_is_trained_from_an_empty_browser(tmp_path):
    app = browser(tmp_path / "runs")
    async with app.run_test(size=(100, 60)) as pilot:
        await settle(pilot)
        assert "No runs yet" in text_of(app)
        await pressed(pilot, "n")
        digits = next(a.key for a in app.screen._answers if a.value == "digits")
        await pressed(pilot, digits)
        assert isinstance(app.screen, NewRunDialog)
        assert entry(app, "data-source").value == "digits"
        await pressed(pilot, "escape")
        assert isinstance(app.screen, RunsScreen)


async def test_a_run_whose_log_tells_no_config_is_like_none(tmp_path):
    run = RunDirectory(tmp_path / "broken")
    run.path.mkdir()
    run.events.write_bytes(b"garbage\n")
    app = browser(tmp_path)
    async with app.run_test(size=(100, 24)) as pilot:
        await pressed(pilot, "l")
        assert "does not hold a config" in text_of(app)


# How much it reads and paints.


async def test_nothing_is_read_and_nothing_painted_when_nothing_changes(runs_dir, monkeypatch):
    long_ago = time.time() - 60
    app = browser(runs_dir)
    async with app.run_test(size=(120, 36)) as pilot:
        await settle(pilot)
        for run_id in "abcd":
            os.utime(runs_dir / run_id, (long_ago, long_ago))
        app.screen._read_again()
        await settle(pilot)
        monkeypatch.setattr("cnn_engine.runs.run_list.read_summary_in_steps", None)
        painted = []
        monkeypatch.setattr(type(app.screen.rows), "render_line", lambda *_: painted.append(1))
        app.screen._read_again()
        await settle(pilot)
        assert painted == []


async def test_of_a_thousand_runs_those_in_view_are_drawn(tmp_path):
    run = golden_run(tmp_path, "completed", "r0000")
    read_summary(run)
    for number in range(1, 1000):
        other = RunDirectory(tmp_path / f"r{number:04}")
        other.path.mkdir()
        os.link(run.events, other.events)
        os.link(run.summary, other.summary)
    app = browser(tmp_path)
    async with app.run_test(size=(120, 36)) as pilot:
        await settle(pilot)
        while len(app.screen.rows.runs) < 1000:
            await pilot.pause(0.05)
        lines = app.screen.rows.draw(app.screen.rows.content, 74, 34)
        assert len(lines) == 34
        await pressed(pilot, "end")
        assert app.screen.rows.cursor == 999
        assert text_of(app).count("✓ done") >= 33
        await pressed(pilot, "pageup")
        assert app.screen.rows.cursor == 999 - 32


async def test_the_palette_offers_what_the_keys_do(runs_dir):
    app = browser(runs_dir)
    async with app.run_test(size=(120, 36)) as pilot:
        await pressed(pilot, "ctrl+p")
        await pressed(pilot, *"star or unstar")
        await pressed(pilot, "enter", "enter")
    assert read_marks(RunDirectory(runs_dir / "d")).star
