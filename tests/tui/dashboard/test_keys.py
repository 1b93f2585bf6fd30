"""The key table, and the commands that keys send."""

import dataclasses
import re
import shutil

import pytest
from textual.screen import ModalScreen
from textual.widgets import Input

from cnn_engine.runlog import events
from cnn_engine.runs.commands import CommandReader
from cnn_engine.runs.recorder import Recorder
from cnn_engine.tracking.loop_control import MISSING
from cnn_tui.dashboard.app import Dashboard
from cnn_tui.dashboard.dialogs.choice import ChoiceDialog
from cnn_tui.dashboard.dialogs.help import HelpScreen
from cnn_tui.dashboard.dialogs.value import ValueDialog
from cnn_tui.dashboard.keys import KEYS, SCOPES, keys_for
from cnn_tui.dashboard.screens.compare import CompareScreen
from cnn_tui.dashboard.screens.run import RunScreen
from cnn_tui.dashboard.screens.runs import RunsScreen
from cnn_tui.dashboard.theme import THEMES
from cnn_tui.dashboard.widgets.key_bar import KeyBar
from cnn_tui.dashboard.widgets.loss_chart import LossChart
from cnn_tui.settings import Options
from cnn_tui.text.other_loops import refusal_text
from cnn_tui.text.parse import parse_epochs, parse_lr
from event_samples import state_after
from golden import add_events, golden_run, running_run, set_local_host
from loops_for_tests import classifier, finished, gan, loop_run
from pilot import press, press_together, screen_text, settle, wait_for_text

VIEWS = {
    "live": "1",
    "classes": "2",
    "mistakes": "3",
    "model": "4",
    "log": "5",
    "metrics": "6",
}


def sent_commands(run):
    return [(command.name, command.value) for command in CommandReader(run.commands).poll()]


# The table.


def test_keys_are_unique_in_each_scope():
    for scope in SCOPES:
        names = [name for key in keys_for(scope) for name in key.keys.split(",")]
        assert len(names) == len(set(names)), scope


def test_views_do_not_override_keys_of_the_screen():
    screen_keys = {name for key in keys_for("run") for name in key.keys.split(",")}
    for view in VIEWS:
        view_keys = {name for key in keys_for(view) for name in key.keys.split(",")}
        assert not view_keys & screen_keys, view


def test_binding_ids_are_unique():
    ids = [key.id for key in KEYS]
    assert len(ids) == len(set(ids))


DESTROYING = {("run", "stop"), ("run", "detach"), ("runs", "delete"), ("mistakes", "export")}
"""Keys that end something or write files."""

HARMLESS_PAIRS = {("stop", "sort")}
"""Both ask first, and a stopped run can be resumed."""


def test_key_that_destroys_has_one_meaning():
    """A key that ends or writes something on one screen does nothing else on another."""
    for destroying in KEYS:
        if (destroying.scope, destroying.name) not in DESTROYING:
            continue
        names = set(destroying.keys.split(","))
        others = [
            key.name
            for key in KEYS
            if key.scope != "lesson"  # has no runs
            and names.intersection(key.keys.split(","))
            and key is not destroying
        ]
        assert {(destroying.name, other) for other in others} <= HARMLESS_PAIRS, destroying


@pytest.mark.parametrize("key", ["h", "question_mark", "f1"])
async def test_help_opens_by_its_keys_everywhere(tmp_path, key):
    run = running_run(tmp_path, 60)
    for screen in (RunScreen(run), RunsScreen(tmp_path), CompareScreen([run, run])):
        app = Dashboard(screen)
        async with app.run_test(size=(80, 24)) as pilot:
            await settle(pilot)
            await press(pilot, key)
            assert isinstance(app.screen, HelpScreen)
            await press(pilot, key)
            assert app.screen is screen


async def test_escape_unfocuses_a_panel_and_never_quits(tmp_path):
    screen = RunScreen(running_run(tmp_path, 60), trains_here=True)
    app = Dashboard(screen)
    async with app.run_test(size=(120, 36)) as pilot:
        await settle(pilot)
        await press(pilot, "tab")
        assert app.focused is not screen.view
        await press(pilot, "escape")
        assert app.focused is screen.view
        for _ in range(3):
            await press(pilot, "escape")
        assert app.screen is screen
        assert "Press q to quit" in screen_text(app)


async def test_paused_run_offers_to_resume(tmp_path):
    run = running_run(tmp_path, 60)
    app = Dashboard(RunScreen(run))
    async with app.run_test(size=(120, 36)) as pilot:
        await settle(pilot)
        assert "p pause" in screen_text(app)
        add_events(run, events.CommandApplied(time=1.0, command="pause", by="key"))
        app.screen.poll()
        await settle(pilot)
        assert "p resume" in screen_text(app)


async def test_run_paused_before_training_shows_no_running_clock(tmp_path):
    """After a detach while paused nothing loads, so no time is counted."""
    run = running_run(tmp_path, 2)
    app = Dashboard(RunScreen(run))
    async with app.run_test(size=(120, 36)) as pilot:
        await settle(pilot)
        assert re.search(r"Loading PyTorch +[\d.]+ s", screen_text(app))
        add_events(run, events.CommandApplied(time=1.0, command="pause", by="key"))
        app.screen.poll()
        await settle(pilot)
        assert "‖ paused" in screen_text(app)
        assert "Loading PyTorch" in screen_text(app)
        assert not re.search(r"Loading PyTorch +[\d.]+ s", screen_text(app))


async def test_detach_of_a_paused_run_says_that_it_stays_paused(tmp_path):
    run = running_run(tmp_path, 60)
    add_events(run, events.CommandApplied(time=1.0, command="pause", by="key"))
    app = Dashboard(RunScreen(run, trains_here=True))
    async with app.run_test(size=(120, 36)) as pilot:
        await settle(pilot)
        await press(pilot, "d")
        assert "it stays paused in the background" in screen_text(app)


@pytest.mark.parametrize("name", ["completed", "stopped", "failed"])
async def test_palette_of_an_ended_run_has_no_commands_to_it(tmp_path, name):
    app = Dashboard(RunScreen(golden_run(tmp_path, name)))
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        titles = {command.title for command in app.get_system_commands(app.screen)}
    assert not titles & {key.help for key in KEYS if key.controls}
    assert "Show all keys" in titles


@pytest.mark.parametrize("view", VIEWS)
async def test_80_and_60_columns_show_the_keys_of_every_view(tmp_path, view):
    app = Dashboard(RunScreen(running_run(tmp_path, 60), trains_here=True))
    async with app.run_test(size=(80, 24)) as pilot:
        await press(pilot, VIEWS[view])
        bar = "\n".join(screen_text(app).splitlines()[-2:])
        for label in ("p pause", "s stop", "c save", "r lr", "d detach", "? help", "q quit"):
            assert label in bar
        for name, key in VIEWS.items():
            assert f"{key} {name}" in bar
        await pilot.resize_terminal(60, 20)
        await settle(pilot)
        views = " ".join(f"{key} {name}" for name, key in VIEWS.items())
        assert screen_text(app).splitlines()[-1] == f" {views} ? q"


async def test_keymap_changes_a_key(tmp_path):
    app = Dashboard(RunScreen(running_run(tmp_path, 60)))
    async with app.run_test(size=(120, 36)) as pilot:
        app.set_keymap({"run.classes": "f2"})
        await press(pilot, "2")
        assert app.screen.shown_view == "live"
        await press(pilot, "f2")
        assert app.screen.shown_view == "classes"


async def test_empty_list_disables_keys_that_need_a_run(tmp_path):
    app = Dashboard(RunsScreen(tmp_path))
    async with app.run_test(size=(120, 36)) as pilot:
        await settle(pilot)
        enabled = {
            active.binding.id for active in app.screen.active_bindings.values() if active.enabled
        }
        assert {"runs.new", "runs.delete"} <= {key.id for key in KEYS}
        assert "runs.new" in enabled
        assert "runs.delete" not in enabled


RUN_SCOPES = set(SCOPES) - {"runs", "lesson"}
"""Scopes of the run screen."""

CLOSING = {"q", "ctrl+c", "d"}
"""Keys that may close the run screen."""


EPOCHS_LOGGED, NOTHING_LOGGED = 60, 2
"""Lines of a run's log."""


@pytest.mark.parametrize("view", VIEWS)
async def test_every_key_works_in_every_view(tmp_path, view):
    """No key raises, and only those in `CLOSING` close the screen."""
    await _press_all(running_run(tmp_path / "open", EPOCHS_LOGGED), view, _names(*RUN_SCOPES))
    for name in CLOSING:
        await _press_all(running_run(tmp_path / name, EPOCHS_LOGGED), view, {name})


@pytest.mark.parametrize("view", VIEWS)
async def test_keys_of_every_view_work_before_training(tmp_path, view):
    scopes = RUN_SCOPES if view == "live" else (view, "panel")
    await _press_all(running_run(tmp_path, NOTHING_LOGGED), view, _names(*scopes))


def _names(*scopes):
    """Return the names of all keys that do not close the screen."""
    return {name for key in keys_for(*scopes) for name in key.keys.split(",")} - CLOSING


async def _press_all(run, view, names):
    app = Dashboard(RunScreen(run, trains_here=True))
    async with app.run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        for name in sorted(names):
            if app.screen.shown_view != view:
                await pilot.press(VIEWS[view])
            await press(pilot, name)
            assert app.is_running, name
            if len(app.screen_stack) > 2:
                await pilot.press("escape")
                await settle(pilot)
            assert isinstance(app.screen, RunScreen), name
    assert app.return_code in (0, None), names


@pytest.mark.parametrize("key", keys_for("runs"), ids=lambda key: key.shown)
async def test_every_key_works_in_the_run_list(tmp_path, key):
    golden_run(tmp_path, "completed")
    app = Dashboard(RunsScreen(tmp_path))
    async with app.run_test(size=(100, 30)) as pilot:
        await press(pilot, key.keys.split(",")[0])
    assert app.return_code in (0, None)


async def test_help_lists_every_key_of_the_view(tmp_path):
    app = Dashboard(RunScreen(running_run(tmp_path, 60)))
    async with app.run_test(size=(100, 70)) as pilot:
        for view, number in VIEWS.items():
            await press(pilot, number, "question_mark")
            assert isinstance(app.screen, HelpScreen)
            text = screen_text(app)
            for key in keys_for("run", view, "panel"):
                assert f"{key.shown} " in text
                assert key.help in text
            await pilot.press("escape")


async def test_click_on_key_bar_runs_the_action(tmp_path):
    app = Dashboard(RunScreen(running_run(tmp_path, 60)))
    async with app.run_test(size=(120, 36)) as pilot:
        await settle(pilot)
        column = screen_text(app).splitlines()[-1].index("2 classes")
        await pilot.click(KeyBar, offset=(column, 1))
        await settle(pilot)
        assert "Confusion" in screen_text(app)


async def test_palette_runs_actions_of_keys(tmp_path):
    app = Dashboard(RunScreen(running_run(tmp_path, 60)))
    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "ctrl+p")
        await pilot.press(*"classes")
        await wait_for_text(pilot, "Classes: accuracy")
        await pilot.press("enter")
        await wait_for_text(pilot, "Most confused")


# The chart.


async def test_cursor_reads_values_of_the_chart(tmp_path):
    run = golden_run(tmp_path, "completed")
    app = Dashboard(RunScreen(run))
    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "home", "shift+right", "shift+right")
        state, chart = app.screen.state, app.screen.query_one(LossChart)
        assert chart.view.cursor == pytest.approx(2 * state.steps_per_epoch, rel=0.05)
        second = f"val {state.epochs[1].val_loss:.4f}"
        assert second in screen_text(app)
        await press(pilot, "end")
        assert f"val {state.epochs[-1].val_loss:.4f}" in screen_text(app)
        assert f"step {state.curve[-1].step:,}" in screen_text(app)
        await press(pilot, "escape")
        assert "○ val" in screen_text(app)
        assert isinstance(app.screen, RunScreen)


async def test_log_search_finds_next_and_previous(tmp_path):
    app = Dashboard(RunScreen(golden_run(tmp_path, "completed")))
    async with app.run_test(size=(100, 20)) as pilot:
        await press(pilot, "5")
        assert "done after" in screen_text(app)
        assert "run 1124-0900-cloud started" not in screen_text(app)
        await press(pilot, "slash", *"PyTorch", "enter")
        assert "1 of 1" in screen_text(app)
        assert "Loading PyTorch" in screen_text(app)
        await press(pilot, "slash", *"best so far", "enter")
        last = screen_text(app)
        await press(pilot, "N")
        assert screen_text(app) != last
        await press(pilot, "n")
        assert screen_text(app) == last
        await press(pilot, "slash", *"nowhere", "enter")
        assert "no match for" in screen_text(app)
        await press(pilot, "slash", *"[/nope]", "enter")
        assert "no match for “[/nope]”" in screen_text(app)


async def test_captured_output_is_escaped_in_the_log(tmp_path):
    run = golden_run(tmp_path, "completed")
    run.console.write_bytes(b"a warning\n\x1b[2J[red]x[/red]\n")
    app = Dashboard(RunScreen(run))
    async with app.run_test(size=(100, 20)) as pilot:
        await press(pilot, "5")
        await wait_for_text(pilot, "a warning")
        assert r"\x1b[2J[red]x[/red]" in screen_text(app)


# Commands to the engine.


async def test_keys_send_commands(tmp_path):
    run = running_run(tmp_path, 60)
    app = Dashboard(RunScreen(run, trains_here=True))
    async with app.run_test(size=(80, 24)) as pilot:
        await press(pilot, "p")
        assert "pausing" in screen_text(app)
        add_events(run, events.CommandApplied(command="pause", by="key"))
        app.screen.poll()
        await settle(pilot)
        assert "‖ paused" in screen_text(app)
        await press(pilot, "p", "c", "r")
        assert isinstance(app.screen, ValueDialog)
        await press(pilot, *"0.0003", "enter")
        assert isinstance(app.screen, RunScreen)
        await press(pilot, "e", *"30", "enter")
        assert isinstance(app.screen, RunScreen)
    assert sent_commands(run) == [
        ("pause", None),
        ("unpause", None),
        ("checkpoint", None),
        ("lr", 0.0003),
        ("epochs", 30),
    ]


async def test_all_keys_typed_fast_are_in_the_dialogs(tmp_path):
    run = running_run(tmp_path, 60)
    app = Dashboard(RunScreen(run, trains_here=True))
    async with app.run_test(size=(80, 24)) as pilot:
        await press_together(pilot, "r", *"0.0003", "enter", "e", *"30", "enter", "p")
        assert isinstance(app.screen, RunScreen)
    assert sent_commands(run) == [("lr", 0.0003), ("epochs", 30), ("pause", None)]


async def test_search_typed_fast_is_in_its_line(tmp_path):
    app = Dashboard(RunScreen(golden_run(tmp_path, "completed")))
    async with app.run_test(size=(100, 20)) as pilot:
        await press_together(pilot, "5", "slash", *"PyTorch", "enter", "1")
        assert app.screen.shown_view == "live"
        await press(pilot, "5")
        assert "1 of 1" in screen_text(app)


@pytest.mark.parametrize(("key", "typed"), [("e", "ee x"), ("r", "rr x")])
async def test_number_takes_no_other_characters(tmp_path, key, typed):
    app = Dashboard(RunScreen(running_run(tmp_path, 60), trains_here=True))
    async with app.run_test(size=(80, 24)) as pilot:
        await press(pilot, key)
        value = app.screen.query_one(Input).value
        await press_together(pilot, "end", *typed)
        assert app.screen.query_one(Input).value == value


async def test_message_of_a_sent_command_gives_way_to_the_keys(tmp_path):
    app = Dashboard(RunScreen(running_run(tmp_path, 60), trains_here=True))
    async with app.run_test(size=(80, 24)) as pilot:
        await press(pilot, "c")
        assert "Saving a checkpoint after this batch" in screen_text(app)
        await wait_for_text(pilot, "c save")


@pytest.mark.parametrize("text", ["", "fast", "0", "-1", "inf", "nan"])
async def test_invalid_learning_rate_is_rejected(tmp_path, text):
    run = running_run(tmp_path, 60)
    app = Dashboard(RunScreen(run, trains_here=True))
    async with app.run_test(size=(80, 24)) as pilot:
        await press(pilot, "r", "backspace", *text, "enter")
        assert isinstance(app.screen, ValueDialog)
        await press(pilot, "escape")
    assert sent_commands(run) == []
    with pytest.raises(ValueError, match=r"\.$"):
        parse_lr(text)


@pytest.mark.parametrize("text", ["", "many", "0", "1", "9" * 20])
async def test_invalid_epochs_are_rejected(tmp_path, text):
    run = running_run(tmp_path, 60)  # epoch 10 is running
    app = Dashboard(RunScreen(run, trains_here=True))
    async with app.run_test(size=(80, 24)) as pilot:
        await press(pilot, "e", "backspace", "backspace", *text, "enter")
        assert isinstance(app.screen, ValueDialog)
        assert ("is running" in screen_text(app)) == (text == "1")
        await press(pilot, "escape")
    assert sent_commands(run) == []


@pytest.mark.parametrize("text", ["", "many", "0", "-1", "2.5", "9" * 20])
def test_text_that_is_no_number_of_epochs_is_rejected(text):
    with pytest.raises(ValueError, match=r"\.$"):
        parse_epochs(text)


@pytest.mark.parametrize(
    ("answer", "command"), [("y", "stop"), ("t", "stop-test"), ("e", "stop-epoch")]
)
async def test_stop_dialog_sends_the_command_of_the_answer(tmp_path, answer, command):
    run = running_run(tmp_path, 60)
    app = Dashboard(RunScreen(run, trains_here=True))
    async with app.run_test(size=(80, 24)) as pilot:
        await press(pilot, "s", answer)
        assert sent_commands(run) == [(command, None)]
        assert isinstance(app.screen, RunScreen)


async def test_quit_asks_before_it_stops_training(tmp_path):
    run = running_run(tmp_path, 60)
    app = Dashboard(RunScreen(run, trains_here=True))
    async with app.run_test(size=(80, 24)) as pilot:
        await press(pilot, "q")
        assert isinstance(app.screen, ChoiceDialog)
        assert "This terminal is training" in screen_text(app)
        await press(pilot, "n")
        assert isinstance(app.screen, RunScreen)
    assert sent_commands(run) == []


@pytest.mark.parametrize(("key", "by"), [("q", "key"), ("ctrl+c", "SIGINT"), ("ctrl+q", "key")])
async def test_quit_stops_a_run_that_trains_here(tmp_path, key, by):
    run = running_run(tmp_path, 60)
    app = Dashboard(RunScreen(run, trains_here=True))
    async with app.run_test(size=(80, 24)) as pilot:
        await press(pilot, key, "y")
        (command,) = CommandReader(run.commands).poll()
        assert (command.name, command.by) == ("stop", by)
        assert "stopping" in screen_text(app)


async def test_quit_can_detach(tmp_path):
    run = running_run(tmp_path, 60)
    app = Dashboard(RunScreen(run, trains_here=True))
    async with app.run_test(size=(80, 24)) as pilot:
        await press(pilot, "q", "d")
        assert sent_commands(run) == [("detach", None)]
        assert "detaching" in screen_text(app)


async def test_quit_closes_a_watched_run_without_question(tmp_path):
    run = running_run(tmp_path, 60)
    with Recorder(run):
        app = Dashboard(RunScreen(run))
        async with app.run_test(size=(80, 24)) as pilot:
            await press(pilot, "q")
            assert not isinstance(app.screen, ChoiceDialog)
    assert sent_commands(run) == []
    assert app.return_code == 0


@pytest.mark.parametrize("key", [key.keys for key in KEYS if key.controls])
async def test_commands_to_an_ended_run_are_refused(tmp_path, key):
    run = golden_run(tmp_path, "completed")
    app = Dashboard(RunScreen(run))
    async with app.run_test(size=(80, 24)) as pilot:
        await press(pilot, key)
        assert "This run has ended" in screen_text(app)
    assert not run.commands.exists()


@pytest.mark.parametrize("key", [key.keys for key in KEYS if key.controls])
async def test_commands_to_an_interrupted_run_are_refused(tmp_path, key):
    run = set_local_host(running_run(tmp_path, 60))
    app = Dashboard(RunScreen(run))
    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, key)
        assert "◌ interrupted" in screen_text(app)
        assert "\nInterrupted after 0:" in screen_text(app).replace("\n ", "\n")
        assert "img/s" not in screen_text(app)
        assert "This run is not running" in screen_text(app)
    assert not run.commands.exists()


async def test_directory_that_is_deleted_is_reported(tmp_path):
    run = set_local_host(running_run(tmp_path, 60))
    app = Dashboard(RunScreen(run))
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        shutil.rmtree(run.path)
        app.screen.poll()
        await settle(pilot)
        text = " ".join(screen_text(app).split())
        assert "Cannot read the run: its directory is gone: " in text


async def test_loop_is_described_again_in_the_log_only_if_the_text_changes(tmp_path):
    known = {"epochs": 1, "steps_per_epoch": 1, "commands": ("stop",)}
    run = add_events(
        loop_run(tmp_path, []),
        *(event for event in gan(2) if not isinstance(event, events.LoopDescribed)),
        events.LoopDescribed(**known),
        events.LoopDescribed(**known | {"commands": ("stop", "pause")}),
        events.LoopDescribed(**known, classes=("cat", "dog")),
    )
    app = Dashboard(RunScreen(run))
    async with app.run_test(size=(80, 24)) as pilot:
        await press(pilot, "5")
        lines = [line for line in screen_text(app).splitlines() if "training loop" in line]
    texts = [line.partition("● ")[2].strip(" │") for line in lines]
    assert texts == ["Another training loop: 1 epoch", "Another training loop: 1 epoch, 2 classes"]


def greyed(app):
    """Return the keys in the key bar that are greyed."""
    return {
        line.plain[span.start : span.end]
        for line in app.screen.query_one(KeyBar).draw(True, 120, 2)
        for span in line.spans
        if span.style == "$faint"
    }


async def test_keys_for_what_another_loop_does_not_log_are_greyed(tmp_path):
    app = Dashboard(RunScreen(loop_run(tmp_path, finished(classifier()))))
    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "2")
        assert "enter mistakes" in greyed(app)
        await press(pilot, "enter")
        assert app.screen.shown_view == "classes"
        assert "No images of mistakes: another training loop logs this run" in screen_text(app)
        app.screen.key_bar.show_message("")
        await press(pilot, "3")
        assert {"v list", "enter enlarge"} <= greyed(app)
        await press(pilot, "4")
        assert {"n wrong", "l layers"} <= greyed(app)
        assert "no layers: another training loop" in screen_text(app)
        assert "multiply-add" not in screen_text(app)


async def test_keys_that_another_loop_does_not_obey_are_greyed_and_say_why(tmp_path):
    run = loop_run(tmp_path, classifier())
    app = Dashboard(RunScreen(run))
    async with app.run_test(size=(120, 36)) as pilot:
        await settle(pilot)
        assert greyed(app) == {"r lr", "e epochs", "d detach"}
        titles = {command.title for command in app.get_system_commands(app.screen)}
        assert "Change the learning rate" not in titles
        await press(pilot, "r")
        assert "The loop of Lightning 2.5 cannot change the learning rate" in screen_text(app)
        await press(pilot, "d")
        assert "Another process is training this run; you can quit" in screen_text(app)
        await press(pilot, "s")
        assert "Stop now" in screen_text(app)
        assert "After this epoch" not in screen_text(app)
        await press(pilot, "y", "c")
    assert sent_commands(run) == [("stop", None), ("checkpoint", None)]


@pytest.mark.parametrize("name", [name for name in MISSING if name != "detach"])
def test_reason_for_a_command_that_a_loop_does_not_obey_fits_80_columns(name):
    text = refusal_text(state_after(*gan(2), events.LoopDescribed()), name)
    assert text.startswith("This run cannot ")
    assert len(text) <= 78


@pytest.mark.parametrize(("first", "later", "number"), [(4, 1, 1), (1, 4, 4), (4, 0, 4)])
def test_reason_of_a_refusal_is_that_of_the_latest_session(first, later, number):
    """A run of several processes may be resumed by one, which its loop can stop."""
    started, *logged = gan(2)
    started = dataclasses.replace(started, processes=first)
    resumed = events.RunResumed(
        pid=1, host="", version="", epoch=1, step=2, file="", seconds=1.0, processes=later
    )
    state = state_after(started, *logged, events.LoopDescribed(), resumed)
    assert state.processes == number
    assert ("several processes" in refusal_text(state, "stop")) is (number > 1)


async def test_messages_about_another_loop_promise_what_it_does(tmp_path):
    run = loop_run(tmp_path, gan())
    offers = events.LoopDescribed(commands=("pause", "unpause", "stop", "stop-epoch", "checkpoint"))
    add_events(run, offers)
    app = Dashboard(RunScreen(run))
    async with app.run_test(size=(80, 24)) as pilot:
        await press(pilot, "c")
        text = "Saving a checkpoint when the loop reads run.should_save"
        assert text in screen_text(app)
        await press(pilot, "s")
        assert "Stop and test" not in screen_text(app)
        await press(pilot, "e")
        assert "Stopping after this epoch" in screen_text(app)
        assert "validated" not in screen_text(app)
        add_events(run, events.CommandApplied(command="pause", by="key"))
        app.screen.poll()
        await settle(pilot)
        await press(pilot, "c")
        text = "Saving a checkpoint after the pause, when the loop reads run.should_save"
        assert text in screen_text(app)


async def test_learning_rate_that_only_a_series_has_is_in_the_dialog(tmp_path):
    run = add_events(
        loop_run(tmp_path, gan()),
        events.LoopDescribed(commands=("lr",)),
        events.ScalarsLogged(step=201, values={"lr": (0.025,)}),
    )
    app = Dashboard(RunScreen(run))
    async with app.run_test(size=(80, 24)) as pilot:
        await press(pilot, "r")
        assert app.screen.query_one(Input).value == "0.025"


@pytest.mark.parametrize("key", ["s", "r", "e", "q"])
async def test_dialog_about_a_running_run_closes_when_the_run_ends(tmp_path, key):
    run = running_run(tmp_path, 60)
    app = Dashboard(RunScreen(run, trains_here=True))
    async with app.run_test(size=(80, 24)) as pilot:
        await press(pilot, key)
        assert isinstance(app.screen, ModalScreen)
        add_events(run, events.RunFinished(status="done", exit_code=0, seconds=60.0))
        app.screen_stack[1].poll()
        await settle(pilot)
        assert isinstance(app.screen, RunScreen)
        assert "This run has ended" in screen_text(app)
        await press(pilot, "y")  # another question, which needs no running run, stays
        app.screen_stack[1].poll()
        await settle(pilot)
        assert isinstance(app.screen, ModalScreen)
    assert not run.commands.exists()


async def test_too_few_epochs_are_refused_with_the_epoch_that_is_running_now(tmp_path):
    run = running_run(tmp_path, 60)
    app = Dashboard(RunScreen(run, trains_here=True))
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        state = app.screen.state
        await press(pilot, "e", *["backspace"] * 4, "1", "enter")
        assert "Epoch 10 is running: enter 10 or more" in screen_text(app)
        state.epoch = 30
        await wait_for_text(pilot, "Epoch 30 is running: enter 30 or more")


async def test_failed_command_shows_the_reason(tmp_path):
    run = running_run(tmp_path, 60)
    run.commands.mkdir()
    app = Dashboard(RunScreen(run, trains_here=True))
    async with app.run_test(size=(200, 24)) as pilot:
        await press(pilot, "p")
        assert "cannot be written: Is a directory" in screen_text(app)


@pytest.mark.parametrize("screen", [RunScreen, RunsScreen])
async def test_second_message_is_shown_for_its_full_time(tmp_path, monkeypatch, screen):
    run, waiting = golden_run(tmp_path, "completed"), []

    class FakeTimer:
        def __init__(self, _seconds, callback):
            self.callback = callback
            waiting.append(self)

        def stop(self):
            waiting.remove(self)

    app = Dashboard(screen(run if screen is RunScreen else tmp_path))
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        monkeypatch.setattr(app.screen.query_one(KeyBar), "set_timer", FakeTimer)
        app.screen.report("the first")
        app.screen.report("the second")
        await settle(pilot)
        assert "the second" in screen_text(app)
        (timer,) = waiting  # the timer of the first message is stopped
        timer.callback()
        await settle(pilot)
        assert "the second" not in screen_text(app)
        assert "help" in screen_text(app).splitlines()[-1]


# Themes and bell.


@pytest.mark.parametrize("theme", THEMES)
async def test_theme_option_and_next_theme(tmp_path, theme):
    app = Dashboard(RunScreen(running_run(tmp_path, 60)), options=Options(theme=theme))
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        assert app.theme == f"cnn-tui-{theme}"
        await press(pilot, "t")
        assert app.theme != f"cnn-tui-{theme}"


async def test_bell_rings_once_per_alarm_if_enabled(tmp_path, monkeypatch):
    run = running_run(tmp_path, 60)
    add_events(
        run,
        events.StepsFinished(
            epoch=10,
            step=1,
            steps=1,
            loss=float("nan"),
            loss_min=1.0,
            loss_max=1.0,
            lr=0.1,
            seconds=1.0,
            images=1,
        ),
    )
    rings = []
    monkeypatch.setattr(Dashboard, "bell", lambda _: rings.append(1))
    for bell in (False, True):
        app = Dashboard(RunScreen(run, trains_here=True, bell=bell))
        async with app.run_test(size=(80, 24)) as pilot:
            await settle(pilot)
            app.screen.poll()
            await settle(pilot)
            assert len(rings) == bell


async def test_unchanged_value_in_a_dialog_sends_no_command(tmp_path):
    run = set_local_host(running_run(tmp_path, 60))
    with Recorder(run):
        app = Dashboard(RunScreen(run))
        async with app.run_test(size=(120, 36)) as pilot:
            await press(pilot, "r")
            assert isinstance(app.screen, ValueDialog)
            await press(pilot, "enter")
            assert isinstance(app.screen, RunScreen)
            assert sent_commands(run) == []


async def test_help_lists_each_scope_once(tmp_path):
    app = Dashboard(RunScreen(golden_run(tmp_path, "completed")))
    async with app.run_test(size=(200, 60)) as pilot:
        await press(pilot, "?")
        assert isinstance(app.screen, HelpScreen)
        assert app.screen._scopes == ("run", "live", "panel")
        text = screen_text(app)
        assert [text.count(SCOPES[scope]) for scope in ("run", "panel")] == [1, 1]


async def test_help_of_runs_has_no_keys_of_panels(tmp_path):
    golden_run(tmp_path, "completed")
    app = Dashboard(RunsScreen(tmp_path))
    async with app.run_test(size=(120, 36)) as pilot:
        await settle(pilot)
        await press(pilot, "?")
        assert app.screen._scopes == ("runs",)
