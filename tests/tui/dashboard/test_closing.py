"""Dialogs of a run: one at a time, and closed together with the run."""

from itertools import product

import pytest
from textual import events
from textual.command import CommandPalette
from textual.worker import WorkerFailed

from cnn_tui.dashboard.app import Dashboard
from cnn_tui.dashboard.dialogs.choice import ChoiceDialog
from cnn_tui.dashboard.dialogs.help import HelpScreen
from cnn_tui.dashboard.dialogs.training import QuitDialog
from cnn_tui.dashboard.dialogs.value import ValueDialog
from cnn_tui.dashboard.screens.lesson import LessonScreen
from cnn_tui.dashboard.screens.run import RunScreen
from cnn_tui.dashboard.screens.runs import RunsScreen
from golden import golden_run, running_run
from pilot import press, settle


async def test_dashboard_exits_with_an_open_dialog(tmp_path):
    screen = RunScreen(golden_run(tmp_path, "completed"))
    app = Dashboard(screen)
    async with app.run_test(size=(80, 24)) as pilot:
        await press(pilot, "?")
        assert isinstance(app.screen, HelpScreen)
        screen.close()
        await pilot.pause()
        assert app._exit


async def test_list_of_runs_is_shown_again_with_an_open_dialog(tmp_path):
    golden_run(tmp_path, "completed")
    app = Dashboard(RunsScreen(tmp_path))
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "enter")
        screen = app.screen
        assert isinstance(screen, RunScreen)
        await press(pilot, "?")
        assert isinstance(app.screen, HelpScreen)
        screen.close()
        await settle(pilot)
        assert isinstance(app.screen, RunsScreen)
        screen.close()  # again, as a poll may do: nothing more is closed
        await settle(pilot)
        assert isinstance(app.screen, RunsScreen)


@pytest.mark.parametrize(
    ("action", "dialog"),
    [
        ("action_quit", QuitDialog),
        ("action_stop", ChoiceDialog),
        ("action_set_lr", ValueDialog),
        ("action_set_epochs", ValueDialog),
    ],
)
async def test_two_quick_keys_open_one_dialog(tmp_path, action, dialog):
    screen = RunScreen(running_run(tmp_path, 60), trains_here=True)
    app = Dashboard(screen)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        getattr(screen, action)()
        getattr(screen, action)()
        await settle(pilot)
        assert [type(opened) for opened in app.screen_stack[2:]] == [dialog]
        await press(pilot, "escape")
        assert app.screen is screen


async def test_error_of_a_worker_is_kept_with_its_traceback(tmp_path):
    async def fail():
        raise LookupError("no such thing")

    app = Dashboard(RunScreen(golden_run(tmp_path, "completed")))
    with pytest.raises(WorkerFailed):  # noqa: PT012 - raised when the app has ended
        async with app.run_test(size=(80, 24)) as pilot:
            app.screen.run_worker(fail())
            await settle(pilot)
    assert isinstance(app.failure, LookupError)
    assert app.failure.__traceback__ is not None


def press_at_once(app, *keys):
    """Put keys into the queue of the app, all before the first is handled, like key repeat."""
    for key in keys:
        app.post_message(events.Key(key, key if len(key) == 1 else None))


COUNTS = 2, 3

CLOSING_KEYS = [
    ("q", "n y d escape q enter"),
    ("ctrl+c", "n y"),
    ("s", "n y e escape"),
    ("r", "escape enter"),
    ("e", "escape enter"),
    ("y", "escape 1"),
    ("question_mark", "escape q enter"),
    ("ctrl+p", "escape"),
    ("x", "escape"),
]
"""Keys that open a dialog or a screen on a run, and the keys that close it."""


@pytest.mark.parametrize(("opening", "closing"), CLOSING_KEYS)
async def test_repeated_key_closes_a_dialog_of_a_run_once(tmp_path, opening, closing):
    """A key that is held down in a dialog closes nothing but the dialog."""
    screen = RunScreen(running_run(tmp_path, 60), trains_here=True)
    app = Dashboard(screen)
    async with app.run_test(size=(80, 24)) as pilot:
        for key, count in product(closing.split(), COUNTS):
            await press(pilot, opening)
            assert app.screen is not screen
            await press_and_return(pilot, screen, [key] * count)


async def press_and_return(pilot, screen, keys):
    """Press keys at once, and close what the last of them may have opened again."""
    press_at_once(pilot.app, *keys)
    await settle(pilot)
    assert pilot.app.is_running
    assert screen in pilot.app.screen_stack
    while pilot.app.screen is not screen:
        await press(pilot, "escape")


@pytest.mark.parametrize("closing", ["y", "n", "escape", "enter"])
async def test_repeated_key_deletes_one_run(tmp_path, closing):
    for number in range(4):
        golden_run(tmp_path, "completed", f"run-{number}")
    screen = RunsScreen(tmp_path)
    app = Dashboard(screen)
    async with app.run_test(size=(80, 24)) as pilot:
        for count in COUNTS:
            await press(pilot, "delete")
            assert isinstance(app.screen, ChoiceDialog)
            runs = len(screen.rows.runs)
            await press_and_return(pilot, screen, [closing] * count)
            assert len(screen.rows.runs) == runs - (closing in {"y", "enter"})


@pytest.mark.parametrize(
    "opening", ["r", "o", "number_sign", "s", "n", "l", "y", "question_mark", "ctrl+p"]
)
async def test_repeated_escape_closes_a_dialog_of_the_list(tmp_path, opening):
    golden_run(tmp_path, "completed")
    screen = RunsScreen(tmp_path)
    app = Dashboard(screen)
    async with app.run_test(size=(80, 24)) as pilot:
        for count in COUNTS:
            await press(pilot, opening)
            assert app.screen is not screen
            await press_and_return(pilot, screen, ["escape"] * count)


@pytest.mark.parametrize("key", ["enter", "n", "l", "delete", "y", "ctrl+p"])
async def test_repeated_key_opens_one_screen_on_the_list(tmp_path, key):
    golden_run(tmp_path, "completed")
    app = Dashboard(RunsScreen(tmp_path))
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        press_at_once(app, key, key)
        await settle(pilot)
        assert len(app.screen_stack) == 3


OVER_A_RUN = {
    "question_mark": HelpScreen,
    "x": LessonScreen,
    "s": ChoiceDialog,
    "r": ValueDialog,
    "ctrl+p": CommandPalette,
}


@pytest.mark.parametrize("key", OVER_A_RUN)
async def test_ctrl_q_asks_whatever_is_open_on_a_training_run(tmp_path, key):
    run = running_run(tmp_path, 60)
    screen = RunScreen(run, trains_here=True)
    app = Dashboard(screen)
    async with app.run_test(size=(80, 24)) as pilot:
        await press(pilot, key)
        opened = app.screen
        assert isinstance(opened, OVER_A_RUN[key])
        press_at_once(app, "ctrl+q", "ctrl+q")
        await settle(pilot)
        assert isinstance(app.screen, QuitDialog)
        await press(pilot, "n")
        assert app.screen is opened
        await press(pilot, "ctrl+q", "y")
        assert app.is_running  # until the engine has stopped
        assert screen.remote.pending == "stop"
        assert screen.closes_when_ended


async def test_ctrl_q_leaves_what_trains_nothing(tmp_path):
    golden_run(tmp_path, "completed")
    app = Dashboard(RunsScreen(tmp_path))
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "enter", "question_mark")
        await pilot.press("ctrl+q")
        await pilot.pause()
        assert app._exit
