"""Keys: the table, and what is asked of the engine."""

import json
import os

import pytest

from cnn_engine.runlog import events
from cnn_engine.runs.commands import CommandReader
from cnn_engine.runs.recorder import Recorder
from cnn_tui.dashboard.app import Dashboard
from cnn_tui.dashboard.dialogs.choice import ChoiceDialog
from cnn_tui.dashboard.dialogs.help import HelpScreen
from cnn_tui.dashboard.dialogs.value import ValueDialog
from cnn_tui.dashboard.keys import KEYS, SCOPES, keys_for
from cnn_tui.dashboard.screens.run import RunScreen
from cnn_tui.dashboard.screens.runs import RunsScreen
from cnn_tui.dashboard.widgets.key_bar import KeyBar
from cnn_tui.dashboard.widgets.loss_chart import LossChart
from cnn_tui.settings import Options
from cnn_tui.text.parse import parse_epochs, parse_lr
from golden import add_events, golden_run, running_run
from pilot import settle, shown, text_of

VIEWS = {"live": "1", "classes": "2", "mistakes": "3", "model": "4", "log": "5"}


def asked_of(run):
    return [(asked.name, asked.value) for asked in CommandReader(run.commands).poll()]


async def opened(pilot, *keys):
    await settle(pilot)
    await pilot.press(*keys)
    await settle(pilot)


# The table.


def test_no_key_is_given_twice_in_one_place():
    for scope in SCOPES:
        names = [name for key in keys_for(scope) for name in key.keys.split(",")]
        assert len(names) == len(set(names)), scope


def test_no_view_takes_a_key_of_the_whole_screen():
    everywhere = {name for key in keys_for("run") for name in key.keys.split(",")}
    for view in VIEWS:
        names = {name for key in keys_for(view) for name in key.keys.split(",")}
        assert not names & everywhere, view


RUN_SCOPES = set(SCOPES) - {"runs", "lesson"}
"""Where keys of a run's screen work."""

LEAVING = {"q", "escape", "ctrl+c", "d"}
"""Keys after which the dashboard may rightly be gone."""


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("lines", [2, 60])
async def test_every_key_works_in_every_view(tmp_path, view, lines):
    """None raises, whatever was pressed before, and none but those that leave ends the screen."""
    names = [name for key in KEYS if key.scope in RUN_SCOPES for name in key.keys.split(",")]
    await _press_each(running_run(tmp_path / "staying", lines), view, set(names) - LEAVING)
    for name in LEAVING:
        await _press_each(running_run(tmp_path / name, lines), view, {name})


async def _press_each(run, view, names):
    app = Dashboard(RunScreen(run, trains_here=True))
    async with app.run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        for name in sorted(names):
            await opened(pilot, VIEWS[view])
            await pilot.press(name)
            await settle(pilot)
            assert app.is_running, name
            if len(app.screen_stack) > 2:
                await pilot.press("escape")
                await settle(pilot)
            assert isinstance(app.screen, RunScreen), name
    assert app.return_code in (0, None), names


@pytest.mark.parametrize("key", keys_for("runs"), ids=lambda key: key.shown)
async def test_every_key_works_in_the_list_of_runs(tmp_path, key):
    golden_run(tmp_path, "completed")
    app = Dashboard(RunsScreen(tmp_path))
    async with app.run_test(size=(100, 30)) as pilot:
        await opened(pilot, key.keys.split(",")[0])
    assert app.return_code in (0, None)


async def test_help_names_every_key_of_the_view(tmp_path):
    app = Dashboard(RunScreen(running_run(tmp_path, 60)))
    async with app.run_test(size=(100, 70)) as pilot:
        for view, number in VIEWS.items():
            await opened(pilot, number, "question_mark")
            assert isinstance(app.screen, HelpScreen)
            text = text_of(app)
            for key in keys_for("run", view, "panel"):
                assert f"{key.shown} " in text
                assert key.help in text
            await pilot.press("escape")


async def test_a_key_is_clicked_where_it_is_named(tmp_path):
    app = Dashboard(RunScreen(running_run(tmp_path, 60)))
    async with app.run_test(size=(120, 36)) as pilot:
        await settle(pilot)
        place = text_of(app).splitlines()[-1].index("2 classes")
        await pilot.click(KeyBar, offset=(place, 0))
        await settle(pilot)
        assert "Confusion" in text_of(app)


async def test_the_palette_does_what_keys_do(tmp_path):
    app = Dashboard(RunScreen(running_run(tmp_path, 60)))
    async with app.run_test(size=(120, 36)) as pilot:
        await opened(pilot, "ctrl+p")
        await pilot.press(*"classes")
        await shown(pilot, "Classes: accuracy")
        await pilot.press("enter")
        await shown(pilot, "Most confused")


# The chart.


async def test_the_cursor_reads_what_stands_there(tmp_path):
    run = golden_run(tmp_path, "completed")
    app = Dashboard(RunScreen(run))
    async with app.run_test(size=(120, 36)) as pilot:
        await opened(pilot, "home", "shift+right", "shift+right")
        state, chart = app.screen.state, app.screen.query_one(LossChart)
        assert chart.view.cursor == pytest.approx(2 * state.steps_per_epoch, rel=0.05)
        second = f"val {state.epochs[1].val_loss:.4f}"
        assert second in text_of(app)
        await opened(pilot, "end")
        assert f"val {state.epochs[-1].val_loss:.4f}" in text_of(app)
        assert f"step {state.curve[-1].step:,}" in text_of(app)
        await opened(pilot, "escape")
        assert "○ val" in text_of(app)
        assert isinstance(app.screen, RunScreen)


async def test_the_log_is_searched(tmp_path):
    app = Dashboard(RunScreen(golden_run(tmp_path, "completed")))
    async with app.run_test(size=(100, 20)) as pilot:
        await opened(pilot, "5")
        assert "done after" in text_of(app)
        assert "run 1124-0900-cloud started" not in text_of(app)
        await opened(pilot, "slash", *"PyTorch", "enter")
        assert "1 of 1" in text_of(app)
        assert "Loading PyTorch" in text_of(app)
        await opened(pilot, "slash", *"best so far", "enter")
        last = text_of(app)
        await opened(pilot, "N")
        assert text_of(app) != last
        await opened(pilot, "n")
        assert text_of(app) == last
        await opened(pilot, "slash", *"nowhere", "enter")
        assert "no match for" in text_of(app)
        await opened(pilot, "slash", *"[/nope]", "enter")
        assert "no match for “[/nope]”" in text_of(app)


async def test_captured_output_is_in_the_log_as_harmless_text(tmp_path):
    run = golden_run(tmp_path, "completed")
    run.console.write_bytes(b"a warning\n\x1b[2J[red]x[/red]\n")
    app = Dashboard(RunScreen(run))
    async with app.run_test(size=(100, 20)) as pilot:
        await opened(pilot, "5")
        await shown(pilot, "a warning")
        assert r"\x1b[2J[red]x[/red]" in text_of(app)


# What is asked of the engine.


async def test_pause_rate_and_checkpoint_are_asked_of_the_engine(tmp_path):
    run = running_run(tmp_path, 60)
    app = Dashboard(RunScreen(run, trains_here=True))
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, "p")
        assert "pausing" in text_of(app)
        add_events(run, events.CommandApplied(command="pause", by="key"))
        app.screen.poll()
        await settle(pilot)
        assert "‖ paused" in text_of(app)
        await opened(pilot, "p", "c", "r")
        assert isinstance(app.screen, ValueDialog)
        await opened(pilot, *"0.0003", "enter")
        assert isinstance(app.screen, RunScreen)
        await opened(pilot, "e", *"30", "enter")
        assert isinstance(app.screen, RunScreen)
    assert asked_of(run) == [
        ("pause", None),
        ("unpause", None),
        ("checkpoint", None),
        ("lr", 0.0003),
        ("epochs", 30),
    ]


@pytest.mark.parametrize("text", ["", "fast", "0", "-1", "inf", "nan"])
async def test_what_is_no_learning_rate_is_not_taken(tmp_path, text):
    run = running_run(tmp_path, 60)
    app = Dashboard(RunScreen(run, trains_here=True))
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, "r", "backspace", *text, "enter")
        assert isinstance(app.screen, ValueDialog)
        await opened(pilot, "escape")
    assert asked_of(run) == []
    with pytest.raises(ValueError, match=r"\.$"):
        parse_lr(text)


@pytest.mark.parametrize("text", ["", "many", "0", "-1", "2.5", "1"])
async def test_what_is_no_number_of_epochs_is_not_taken(tmp_path, text):
    run = running_run(tmp_path, 60)  # in its tenth
    app = Dashboard(RunScreen(run, trains_here=True))
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, "e", "backspace", "backspace", *text, "enter")
        assert isinstance(app.screen, ValueDialog)
        assert ("is running" in text_of(app)) == (text == "1")
        await opened(pilot, "escape")
    assert asked_of(run) == []
    if text != "1":
        with pytest.raises(ValueError, match=r"\.$"):
            parse_epochs(text)


@pytest.mark.parametrize(("answer", "asked"), [("y", "stop"), ("e", "stop-epoch")])
async def test_a_run_is_stopped_now_or_after_the_epoch(tmp_path, answer, asked):
    run = running_run(tmp_path, 60)
    app = Dashboard(RunScreen(run, trains_here=True))
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, "s", answer)
        assert asked_of(run) == [(asked, None)]
        assert isinstance(app.screen, RunScreen)


async def test_leaving_a_run_that_trains_here_asks_and_can_be_declined(tmp_path):
    run = running_run(tmp_path, 60)
    app = Dashboard(RunScreen(run, trains_here=True))
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, "q")
        assert isinstance(app.screen, ChoiceDialog)
        assert "This terminal is training" in text_of(app)
        await opened(pilot, "n")
        assert isinstance(app.screen, RunScreen)
    assert asked_of(run) == []


@pytest.mark.parametrize(
    ("key", "by"), [("q", "key"), ("ctrl+c", "SIGINT"), ("escape", "key"), ("ctrl+q", "key")]
)
async def test_leaving_stops_a_run_that_trains_here(tmp_path, key, by):
    run = running_run(tmp_path, 60)
    app = Dashboard(RunScreen(run, trains_here=True))
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, key, "y")
        (asked,) = CommandReader(run.commands).poll()
        assert (asked.name, asked.by) == ("stop", by)
        assert "stopping" in text_of(app)


async def test_leaving_can_ask_for_the_background_once(tmp_path):
    run = running_run(tmp_path, 60)
    app = Dashboard(RunScreen(run, trains_here=True))
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, "q", "d")
        assert asked_of(run) == [("detach", None)]
        assert "detaching" in text_of(app)


async def test_a_watched_run_is_left_without_a_question(tmp_path):
    run = running_run(tmp_path, 60)
    with Recorder(run):
        app = Dashboard(RunScreen(run))
        async with app.run_test(size=(80, 24)) as pilot:
            await opened(pilot, "q")
            assert not isinstance(app.screen, ChoiceDialog)
    assert asked_of(run) == []
    assert app.return_code == 0


@pytest.mark.parametrize("key", [key.keys for key in KEYS if key.controls])
async def test_of_an_ended_run_nothing_is_asked(tmp_path, key):
    run = golden_run(tmp_path, "completed")
    app = Dashboard(RunScreen(run))
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, key)
        assert "This run has ended" in text_of(app)
    assert not run.commands.exists()


@pytest.mark.parametrize("key", [key.keys for key in KEYS if key.controls])
async def test_of_a_run_that_nobody_trains_nothing_is_asked(tmp_path, key):
    run = running_run(tmp_path, 60)
    first, *rest = run.events.read_text().splitlines()
    here = json.dumps(json.loads(first) | {"host": os.uname().nodename})
    run.events.write_text("\n".join([here, *rest]) + "\n")
    app = Dashboard(RunScreen(run))
    async with app.run_test(size=(120, 36)) as pilot:
        await opened(pilot, key)
        assert "◌ interrupted" in text_of(app)
        assert "This run is not running" in text_of(app)
    assert not run.commands.exists()


async def test_what_cannot_be_asked_is_said(tmp_path):
    run = running_run(tmp_path, 60)
    run.commands.mkdir()
    app = Dashboard(RunScreen(run, trains_here=True))
    async with app.run_test(size=(200, 24)) as pilot:
        await opened(pilot, "p")
        assert "cannot be written: Is a directory" in text_of(app)


@pytest.mark.parametrize("of", [RunScreen, RunsScreen])
async def test_an_answer_stands_as_long_as_the_one_before_it(tmp_path, monkeypatch, of):
    run, waiting = golden_run(tmp_path, "completed"), []

    class Waiting:
        def __init__(self, _seconds, do):
            self.do = do
            waiting.append(self)

        def stop(self):
            waiting.remove(self)

    app = Dashboard(of(run if of is RunScreen else tmp_path))
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        monkeypatch.setattr(app.screen.query_one(KeyBar), "set_timer", Waiting)
        app.screen.report("the first")
        app.screen.report("the second")
        await settle(pilot)
        assert "the second" in text_of(app)
        (left,) = waiting  # nothing of the first is left to take the second away
        left.do()
        await settle(pilot)
        assert "the second" not in text_of(app)
        assert "help" in text_of(app).splitlines()[-1]


# Looks.


@pytest.mark.parametrize("theme", ["dark", "light", "color-blind"])
async def test_a_theme_is_as_asked_and_the_next_one_follows(tmp_path, theme):
    app = Dashboard(RunScreen(running_run(tmp_path, 60)), options=Options(theme=theme))
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        assert app.theme == f"cnn-tui-{theme}"
        await opened(pilot, "t")
        assert app.theme != f"cnn-tui-{theme}"


async def test_the_bell_rings_once_for_an_alarm_and_only_if_asked(tmp_path, monkeypatch):
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
    rung = []
    monkeypatch.setattr(Dashboard, "bell", lambda _: rung.append(1))
    for bell in (False, True):
        app = Dashboard(RunScreen(run, trains_here=True, bell=bell))
        async with app.run_test(size=(80, 24)) as pilot:
            await settle(pilot)
            app.screen.poll()
            await settle(pilot)
            assert len(rung) == bell
