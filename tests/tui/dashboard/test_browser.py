"""The list of runs: table, filter, edits, new runs, and when it reads files and repaints."""

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
from loops_for_tests import classifier, finished, gan, loop_run
from pilot import TWO_SIZES, press, press_together, screen_text, settle, wait_for_text
from runs_for_tests import RunForTests, wait_until


@pytest.fixture
def runs_dir(tmp_path):
    """Four runs: b and d done, c stopped, a failed; listed as d, c, b, a."""
    for run_id, name in (("a", "failed"), ("b", "completed"), ("c", "stopped"), ("d", "completed")):
        golden_run(tmp_path / "runs", name, run_id)
    order = {"d": 4, "c": 3, "b": 2, "a": 1}
    for run in list_runs(tmp_path / "runs"):
        text = run.events.read_text()
        first, _, rest = text.partition("\n")
        time_text = first.partition('"time":')[2].partition(",")[0]
        first = first.replace(time_text, str(1795510000.0 + order[run.id]))
        run.events.write_text(f"{first}\n{rest}")
    return tmp_path / "runs"


def run_list(runs_dir):
    return Dashboard(RunsScreen(runs_dir))


def shown(app):
    """Return the ids in the table, from top to bottom."""
    return "".join(run.run_id for run in app.screen.rows.runs)


def current(app):
    return app.screen.rows.current.run_id


@pytest.mark.parametrize("size", [(200, 60), *TWO_SIZES, (1, 1)], ids=str)
async def test_run_list_fits_any_terminal(runs_dir, size):
    app = run_list(runs_dir)
    async with app.run_test(size=size) as pilot:
        await press(pilot, "down", "down", "slash", *"acc>0.5", "enter", "greater_than_sign")
        assert shown(app)
        assert app.is_running
        if size[0] >= 40:
            assert all(f" {run_id} " in screen_text(app) for run_id in "bcd")
        await press(pilot, "l")
        assert isinstance(app.screen, NewRunDialog)
    assert app.return_code in (0, None)


async def test_cursor_stays_on_its_run_after_sorting(runs_dir):
    app = run_list(runs_dir)
    async with app.run_test(size=(100, 24)) as pilot:
        await press(pilot, "i")
        assert (shown(app), current(app)) == ("abcd", "a")
        await press(pilot, "down", "i")
        assert (shown(app), current(app)) == ("dcba", "b")


async def test_table_and_details_show_a_run(runs_dir):
    app = run_list(runs_dir)
    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "down")
        text = screen_text(app)
        assert "4 runs" in text
        for expected in ("✓ done", "■ stopped", "✗ failed", "99.7%", "started▾", "baseline"):
            assert expected in text
        assert "of 2000 epochs" in text  # in the details of the stopped run
        assert "train.epochs  20 → 2000" in text
        assert "▸   c" in text


async def test_filter_is_applied_while_typing(runs_dir):
    app = run_list(runs_dir)
    async with app.run_test(size=(100, 24)) as pilot:
        await press(pilot, "slash", *"status=done")
        assert shown(app) == "db"
        assert "2 of 4 runs" in screen_text(app)
        await press(pilot, *" acx>1")
        assert "unknown column 'acx'; did you mean 'acc'?" in screen_text(app)
        assert shown(app) == ""  # still filtered by the last valid filter, `status=done acx`
        await press(pilot, *["backspace"] * 6)
        await press(pilot, "enter", "q")  # after enter, q quits
    assert app.return_code in (0, None)
    assert not app.is_running


async def test_all_keys_of_a_filter_typed_fast_are_in_its_line(runs_dir):
    """Keys that arrive together, as from fast typing or a paste, go where the first one leads."""
    app = run_list(runs_dir)
    async with app.run_test(size=(100, 24)) as pilot:
        await press_together(pilot, "slash", *"acc>0.9", "enter", "down")
        assert app.screen.filter_text == "acc>0.9"
        assert not app.screen.filter_line.is_open
        assert app.screen.rows.content.sort_column.key == "started"  # `>` sorts by the next column
        assert app.screen.rows.cursor == 1


@pytest.mark.parametrize("key", ["r", "o", "number_sign", "s"])
async def test_all_keys_after_one_that_opens_a_dialog_are_in_its_input(runs_dir, key):
    app = run_list(runs_dir)
    async with app.run_test(size=(100, 24)) as pilot:
        await press_together(pilot, key, *"nice q", "home", *"un")
        assert app.screen.query_one(Input).value == "unnice q"
        await press_together(pilot, "escape", "escape", "slash", *"nq")
        assert app.screen.filter_text == "nq"


async def test_keys_typed_fast_answer_the_dialog_and_go_on_in_the_list(runs_dir):
    app = run_list(runs_dir)
    async with app.run_test(size=(100, 24)) as pilot:
        await press_together(
            pilot, "r", *["backspace"] * 20, *"mine", "enter", "down", "delete", "y"
        )
        assert read_marks(RunDirectory(runs_dir / "d")).name == "mine"
        assert [run.id for run in list_trash(runs_dir)] == ["c"]


@pytest.mark.parametrize("text", ["acc>", "acx>1", "status=dome", "(star"])
async def test_enter_keeps_an_invalid_filter_open_with_its_error(runs_dir, text):
    app = run_list(runs_dir)
    async with app.run_test(size=(100, 24)) as pilot:
        await press_together(pilot, "slash", *text, "enter")
        assert app.screen.filter_line.is_open
        assert "filter, position" in screen_text(app)
        await press(pilot, "escape")
        assert not app.screen.filter_line.is_open
        assert shown(app) == "dcba"


@pytest.mark.parametrize("size", TWO_SIZES, ids=str)
async def test_filter_without_matches_says_how_to_clear_it(runs_dir, size):
    app = run_list(runs_dir)
    async with app.run_test(size=size) as pilot:
        await press(pilot, "slash", *"zzz", "enter")
        assert "no run matches; esc clears" in screen_text(app)
        await press(pilot, "escape")
        assert "no run matches" not in screen_text(app)
        assert shown(app) == "dcba"


async def test_name_is_shown_at_80_columns(tmp_path):
    run = golden_run(tmp_path, "completed", "20261128-051035-bright-otter")
    write_marks(run, Marks(name="baseline"))
    app = run_list(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        assert "baseline" in screen_text(app)


async def test_escape_clears_filter_then_selection_and_never_quits(runs_dir):
    app = run_list(runs_dir)
    async with app.run_test(size=(100, 24)) as pilot:
        await press(pilot, "space", "slash", *"acc>0", "enter", "escape")
        assert shown(app) == "dcba"
        assert app.screen.rows.selected == {"d"}
        await press(pilot, "escape")
        assert app.screen.rows.selected == set()
        await press(pilot, "escape")
        assert app.is_running
        assert "Press q to quit" in screen_text(app)


async def test_sort_by_column_or_config_key(runs_dir):
    app = run_list(runs_dir)
    async with app.run_test(size=(200, 24)) as pilot:
        await press(pilot, "i")
        assert shown(app) == "abcd"
        await press(pilot, "s", *"train.epochs", "enter")
        assert shown(app)[-1] == "c"
        assert "epochs▴" in screen_text(app)
        await press(pilot, "s", *"acx", "enter")
        assert isinstance(app.screen, ValueDialog)
        assert "did you mean 'acc'?" in screen_text(app)
        await press(pilot, "escape", "s", *"run", "enter", "greater_than_sign")
        assert "status▴" in screen_text(app)
        await press(pilot, "less_than_sign")
        assert (shown(app), app.screen.rows.content.sort_column.key) == ("abcd", "run")


async def test_click_on_heading_sorts_and_on_row_opens(runs_dir):
    app = run_list(runs_dir)
    async with app.run_test(size=(120, 24)) as pilot:
        await settle(pilot)
        headings = screen_text(app).splitlines()[1]
        await pilot.click("RunTable", offset=(headings.index(" run") + 1, 0))
        await settle(pilot)
        assert shown(app) == "abcd"
        await pilot.click("RunTable", offset=(8, 3))
        await settle(pilot)
        assert current(app) == "c"
        await pilot.click("RunTable", offset=(8, 3))
        await settle(pilot)
        assert isinstance(app.screen, RunScreen)


async def test_opened_run_returns_to_the_list(runs_dir):
    app = run_list(runs_dir)
    async with app.run_test(size=(100, 24)) as pilot:
        await press(pilot, "down", "enter")
        assert isinstance(app.screen, RunScreen)
        assert app.screen.state.started.run_id
        await press(pilot, "q")
        assert isinstance(app.screen, RunsScreen)
        assert current(app) == "c"


async def test_damaged_run_can_be_opened(tmp_path):
    run = RunDirectory(tmp_path / "broken")
    run.path.mkdir()
    run.events.write_bytes(b"garbage\n" * 20)
    app = run_list(tmp_path)
    async with app.run_test(size=(120, 24)) as pilot:
        await settle(pilot)
        assert "✗ damaged" in screen_text(app)
        assert "20 lines of the log" in screen_text(app)
        await press(pilot, "enter")
        assert isinstance(app.screen, RunScreen)


# Marks.


async def test_keys_edit_star_name_note_and_tags(runs_dir):
    app = run_list(runs_dir)
    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "asterisk")
        await press(pilot, "r", *(["backspace"] * 8), *"mine", "enter")
        await press(pilot, "o", *"a note", "enter")
        await press(pilot, "number_sign", *"x y", "enter")
        marks = read_marks(RunDirectory(runs_dir / "d"))
        assert marks == Marks(star=True, name="mine", note="a note", tags=("x", "y"))
        for expected in ("★ d", "mine", "a note"):
            assert expected in screen_text(app)
        await press(pilot, "asterisk")
        assert not read_marks(RunDirectory(runs_dir / "d")).star


async def test_selected_runs_are_edited_together(runs_dir):
    write_marks(RunDirectory(runs_dir / "c"), Marks(tags=("old", "own")))
    write_marks(RunDirectory(runs_dir / "d"), Marks(tags=("old",)))
    app = run_list(runs_dir)
    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "space", "space", "number_sign")
        assert app.screen.query_one(Input).value == "old"
        await press(pilot, *["backspace"] * 3, *"new", "enter", "asterisk")
    assert read_marks(RunDirectory(runs_dir / "c")).tags == ("new", "own")
    assert read_marks(RunDirectory(runs_dir / "d")).tags == ("new",)
    assert [read_marks(RunDirectory(runs_dir / run)).star for run in "abcd"] == [0, 0, 1, 1]


@pytest.mark.parametrize(("key", "typed"), [("r", "x" * 90), ("number_sign", "y" * 50)])
async def test_invalid_name_or_tag_is_rejected(runs_dir, key, typed):
    app = run_list(runs_dir)
    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, key, *typed, "enter")
        assert isinstance(app.screen, ValueDialog)
        assert "at most" in screen_text(app)
        await press(pilot, "escape")
    assert read_marks(RunDirectory(runs_dir / "d")) == Marks()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
async def test_unwritable_marks_show_the_reason(runs_dir):
    (runs_dir / "d").chmod(0o500)
    app = run_list(runs_dir)
    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "asterisk")
        assert "cannot be written: Permission denied" in screen_text(app)
    (runs_dir / "d").chmod(0o700)


async def test_marks_changed_elsewhere_are_shown(runs_dir):
    app = run_list(runs_dir)
    async with app.run_test(size=(120, 36)) as pilot:
        await settle(pilot)
        write_marks(RunDirectory(runs_dir / "b"), Marks(name="renamed"))
        app.screen.poll()
        await settle(pilot)
        assert "renamed" in screen_text(app)


# The trash.


async def test_delete_and_undo(runs_dir):
    app = run_list(runs_dir)
    async with app.run_test(size=(100, 24)) as pilot:
        await press(pilot, "down", "delete")
        assert isinstance(app.screen, ChoiceDialog)
        await press(pilot, "n")
        assert shown(app) == "dcba"
        await press(pilot, "delete", "y")
        assert (shown(app), current(app)) == ("dba", "b")
        assert [run.id for run in list_trash(runs_dir)] == ["c"]
        await press(pilot, "u")
        assert shown(app) == "dcba"
        await press(pilot, "u")
        assert "The trash is empty" in screen_text(app)


async def test_selected_runs_are_deleted_together(runs_dir):
    app = run_list(runs_dir)
    async with app.run_test(size=(100, 24)) as pilot:
        await press(pilot, "space", "space", "backspace")
        assert "Delete 2 runs?" in screen_text(app)
        await press(pilot, "y")
        assert shown(app) == "ba"
        await press(pilot, "u")
        assert shown(app) == "cba"
        await press(pilot, "u")
        assert shown(app) == "dcba"


async def test_running_run_cannot_be_deleted(runs_dir):
    run = running_run(runs_dir, lines=30, run_id="e")
    with Recorder(run):
        app = run_list(runs_dir)
        async with app.run_test(size=(100, 24)) as pilot:
            await press(pilot, "s", *"-epochs", "enter")
            app.screen.rows.move(-100)
            while current(app) != "e":
                await press(pilot, "down")
            await press(pilot, "delete")
            assert "e is running: stop it first: cnn-tui stop e" in screen_text(app)
    assert run.events.exists()


# Training.


async def test_resume_continues_a_stopped_run_in_the_background(tmp_path):
    run = RunForTests(tmp_path, "train.epochs=3")
    run.send("stop")
    run.train()
    app = run_list(tmp_path)
    async with app.run_test(size=(100, 24)) as pilot:
        await press(pilot, "g")
        assert isinstance(app.screen, RunScreen)
        wait_until(lambda: read_summary(run.directory).status == "done")
    assert read_state(run.directory)[0].resumed is not None


async def test_resume_is_refused_for_done_and_damaged_runs(runs_dir):
    app = run_list(runs_dir)
    async with app.run_test(size=(120, 24)) as pilot:
        await press(pilot, "g")
        assert "cnn-tui resume d --epochs 30" in screen_text(app)
        (runs_dir / "a" / "events.jsonl").write_text("garbage\n")
        app.screen.poll()
        await press(pilot, "end", "g")
        assert "its log does not contain a config" in screen_text(app)
        assert isinstance(app.screen, RunsScreen)


def note_text(app, key):
    return str(app.screen.query_one(f"#key-{key}-note", Label).content)


def input_of(app, key):
    return app.screen.query_one(f"#key-{key}", Input)


async def test_clone_with_overrides_is_trained(tmp_path):
    first = RunForTests(tmp_path, "train.epochs=1").train().directory
    app = run_list(tmp_path)
    async with app.run_test(size=(100, 40)) as pilot:
        await press(pilot, "l", *"again")
        assert isinstance(app.screen, NewRunDialog)
        input_of(app, "train-seed").value = "3"
        input_of(app, "optimizer-lr").value = "fast"
        await settle(pilot)
        assert note_text(app, "train-seed") == "was 0"
        assert "must be a valid number" in note_text(app, "optimizer-lr")
        await press(pilot, "enter")
        assert isinstance(app.screen, NewRunDialog)
        input_of(app, "optimizer-lr").value = "0.002"
        input_of(app, "model-filters").value = "[]"
        await settle(pilot)
        assert note_text(app, "optimizer-lr") == "was 0.001"
        assert note_text(app, "model-filters")
        input_of(app, "model-filters").value = "[4]"
        await press(pilot, "enter")
        assert isinstance(app.screen, RunScreen)
    second = next(run for run in list_runs(tmp_path) if run.id != first.id)
    wait_until(lambda: read_summary(second).status == "done")
    state, _ = read_state(second)
    assert (state.started.name, state.started.like) == ("again", first.id)
    assert (state.setting("train.seed"), state.setting("optimizer.lr")) == (3, 0.002)
    assert state.setting("model.filters") == [4]
    overrides = "--set model.filters=[4] --set optimizer.lr=0.002 --set train.seed=3".split()
    assert state.started.command == ("cnn-tui", "run", "--like", first.id, *overrides)


async def test_new_run_form_shows_errors_at_their_keys(runs_dir):
    app = run_list(runs_dir)
    async with app.run_test(size=(100, 60)) as pilot:
        await press(pilot, "l")
        input_of(app, "data-source").value = "folder"
        await settle(pilot)
        assert "pass the folder of images" in note_text(app, "data-path")
        input_of(app, "data-source").value = "digitz"
        await settle(pilot)
        assert "did you mean 'digits'?" in note_text(app, "data-source")
        await press(pilot, "escape")
    assert len(list_runs(runs_dir)) == 4


@pytest.mark.parametrize("rules", ["1", "2"])
async def test_form_with_a_missing_folder_starts_no_run(runs_dir, tmp_path, rules):
    app = run_list(runs_dir)
    async with app.run_test(size=(200, 60)) as pilot:
        await press(pilot, "l")
        input_of(app, "data-source").value = "folder"
        input_of(app, "data-path").value = str(tmp_path / "phtos")
        input_of(app, "data-rules").value = rules
        await press(pilot, "enter")
        assert "phtos: is not a folder" in str(app.screen.query_one("#problem").content)
        assert isinstance(app.screen, NewRunDialog)
        await press(pilot, "escape")
    assert len(list_runs(runs_dir)) == 4


async def test_new_run_opens_the_form_of_a_preset(tmp_path):
    app = run_list(tmp_path / "runs")
    async with app.run_test(size=(100, 60)) as pilot:
        await settle(pilot)
        assert "No runs yet" in screen_text(app)
        assert "that import cnn_tui appear here by themselves" in screen_text(app)
        await press(pilot, "n")
        key = next(answer.key for answer in app.screen._answers if answer.value == "digits")
        await press(pilot, key)
        assert isinstance(app.screen, NewRunDialog)
        assert input_of(app, "data-source").value == "digits"
        await press(pilot, "escape")
        assert isinstance(app.screen, RunsScreen)


async def test_form_says_what_is_in_the_folder_of_images(tmp_path):
    (tmp_path / "photos" / "cat").mkdir(parents=True)
    app = run_list(tmp_path / "runs")
    async with app.run_test(size=(100, 60)) as pilot:
        await settle(pilot)
        await press(pilot, "n")
        key = next(answer.key for answer in app.screen._answers if answer.value == "folder")
        await press(pilot, key)
        for path, note in ((tmp_path / "photos", "1 folder: cat"), ("missing", "No such file")):
            input_of(app, "data-path").value = str(path)
            await settle(pilot)
            assert note in screen_text(app)
        await press(pilot, "escape")


@pytest.mark.parametrize(
    ("count", "size"),
    [(2, (200, 60)), (8, (72, 20)), (8, (40, 12)), (40, (200, 60)), (40, (40, 12))],
    ids=str,
)
async def test_every_preset_can_be_selected(runs_dir, monkeypatch, size, count):
    """All presets can be seen, even if there are more than rows on the screen or than keys."""
    names = [f"preset-{number:02}" for number in range(count)]
    described = dict.fromkeys(names, "what it trains")
    monkeypatch.setattr("cnn_tui.dashboard.screens.runs.describe_presets", lambda: described)
    app = run_list(runs_dir)
    async with app.run_test(size=size) as pilot:
        await settle(pilot)
        await press(pilot, "n")
        assert isinstance(app.screen, ChoiceDialog)
        for name in names:
            region = app.focused.region
            line = screen_text(app).splitlines()[region.y]
            assert name in line
            await press(pilot, "down")
        assert names[0] in screen_text(app).splitlines()[app.focused.region.y]


async def test_form_shows_why_the_run_cannot_be_started(runs_dir):
    """A directory that cannot be written is reported in the form, which stays open."""
    app = run_list(runs_dir)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "l")
        form = app.screen
        form._runs_dir = runs_dir / "d" / "events.jsonl"
        await press(pilot, "enter")
        assert app.screen is form
        assert "Not started: " in screen_text(app)
        form._runs_dir = runs_dir
        await press(pilot, "escape")


async def test_enter_in_an_invalid_form_goes_to_the_problem(runs_dir):
    app = run_list(runs_dir)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "l")
        app.screen.query_one("#key-train-epochs", Input).value = "none"
        await settle(pilot)
        await press(pilot, "enter")
        assert app.focused.id == "key-train-epochs"
    assert len(list_runs(runs_dir)) == 4


async def test_sort_by_run_shows_its_column_once(runs_dir):
    app = run_list(runs_dir)
    async with app.run_test(size=(120, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "s", *"run", "enter")
        assert screen_text(app).splitlines()[1].split().count("run▴") == 1
        assert "run" not in screen_text(app).splitlines()[1].replace("run▴", "")


async def test_list_answers_keys_while_the_byte_budget_is_spent(runs_dir, monkeypatch):
    app = run_list(runs_dir)
    async with app.run_test(size=(100, 24)) as pilot:
        await settle(pilot)
        monkeypatch.setattr(app, "can_draw", lambda *, is_reply=False: is_reply)
        await press(pilot, "i")
        assert shown(app) == "abcd"
        await press(pilot, "asterisk")
        assert "★" in screen_text(app)
        await press(pilot, "slash", *"status=stopped")
        assert shown(app) == "c"
        await press(pilot, "escape")
        assert shown(app) == "abcd"


async def test_clone_is_refused_without_config(tmp_path):
    run = RunDirectory(tmp_path / "broken")
    run.path.mkdir()
    run.events.write_bytes(b"garbage\n")
    app = run_list(tmp_path)
    async with app.run_test(size=(100, 24)) as pilot:
        await press(pilot, "l")
        assert "does not contain a config" in screen_text(app)


# Reading and repainting.


async def test_unchanged_runs_are_not_read_or_painted(runs_dir, monkeypatch):
    long_ago = time.time() - 60
    app = run_list(runs_dir)
    async with app.run_test(size=(120, 36)) as pilot:
        await settle(pilot)
        for run_id in "abcd":
            os.utime(runs_dir / run_id, (long_ago, long_ago))
        app.screen.poll()
        await settle(pilot)
        monkeypatch.setattr("cnn_engine.runs.run_list.read_summary_in_steps", None)
        painted = []
        monkeypatch.setattr(type(app.screen.rows), "render_line", lambda *_: painted.append(1))
        app.screen.poll()
        await settle(pilot)
        assert painted == []


async def test_only_visible_rows_are_drawn(tmp_path):
    run = golden_run(tmp_path, "completed", "r0000")
    read_summary(run)
    for number in range(1, 1000):
        other = RunDirectory(tmp_path / f"r{number:04}")
        other.path.mkdir()
        os.link(run.events, other.events)
        os.link(run.summary, other.summary)
    app = run_list(tmp_path)
    async with app.run_test(size=(120, 36)) as pilot:
        await settle(pilot)
        while len(app.screen.rows.runs) < 1000:
            await pilot.pause(0.05)
        lines = app.screen.rows.draw(app.screen.rows.content, 74, 34)
        assert len(lines) == 34
        await press(pilot, "end")
        assert app.screen.rows.cursor == 999
        assert screen_text(app).count("✓ done") >= 33
        await press(pilot, "pageup")
        assert app.screen.rows.cursor == 999 - 31


async def test_palette_stars_a_run(runs_dir):
    app = run_list(runs_dir)
    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "ctrl+p")
        await press(pilot, *"star or unstar")
        await press(pilot, "enter", "enter")
    assert read_marks(RunDirectory(runs_dir / "d")).star


@pytest.mark.parametrize("columns", [120, 80])
async def test_config_and_epochs_are_shown_and_empty_columns_are_not(tmp_path, columns):
    for run_id in ("1124-0412-amber", "1124-0413-birch"):
        golden_run(tmp_path, "stopped", run_id)
    app = Dashboard(RunsScreen(tmp_path))
    async with app.run_test(size=(columns, 30)) as pilot:
        await settle(pilot)
        heading, row = screen_text(app).splitlines()[1:3]
        heading = heading.partition("╭")[0].split()
        assert {"run", "status", "config", "epochs", "acc", "started▾"} <= set(heading)
        assert not {"name", "tags", "test"} & set(heading)  # no run has one
        assert "digits" in row
        assert "14/2000" in row


async def test_runs_of_other_loops_are_sorted_by_a_series_and_listed_with_its_values(tmp_path):
    loop_run(tmp_path, finished(classifier(epochs=2)), "short")
    loop_run(tmp_path, finished(classifier(epochs=6)), "long")
    loop_run(tmp_path, finished(gan()), "gan")
    app = Dashboard(RunsScreen(tmp_path))
    async with app.run_test(size=(120, 36)) as pilot:
        await wait_for_text(pilot, "short")
        await press(pilot, "s", *"-max:val/f1", "enter")
        screen = screen_text(app)
        assert "max:val/f1▾" in screen
        assert [run.run_id for run in app.screen.rows.runs] == ["long", "short", "gan"]
        await press(pilot, "end")
        await wait_for_text(pilot, "g_loss  0.9084")
        assert "no finished epoch" not in screen_text(app)
        await press(pilot, "g")
        assert "run its own script again with cnn_tui.init" in screen_text(app)
