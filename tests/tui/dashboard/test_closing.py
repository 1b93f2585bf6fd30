"""A run's screen closes together with the dialog that is open on it."""

from cnn_tui.dashboard.app import Dashboard
from cnn_tui.dashboard.dialogs.help import HelpScreen
from cnn_tui.dashboard.screens.run import RunScreen
from cnn_tui.dashboard.screens.runs import RunsScreen
from golden import golden_run
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
