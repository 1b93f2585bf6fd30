"""Dialogs of a run: one at a time, and closed together with the run."""

import pytest
from textual.worker import WorkerFailed

from cnn_tui.dashboard.app import Dashboard
from cnn_tui.dashboard.dialogs.choice import ChoiceDialog
from cnn_tui.dashboard.dialogs.help import HelpScreen
from cnn_tui.dashboard.dialogs.value import ValueDialog
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
        ("action_quit", ChoiceDialog),
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
