"""Long errors can be read in full, and text can be copied."""

import base64
import dataclasses

import pytest

from cnn_engine.runlog import events
from cnn_tui.dashboard.app import Dashboard
from cnn_tui.dashboard.screens.run import RunScreen
from cnn_tui.dashboard.screens.runs import RunsScreen
from cnn_tui.dashboard.widgets.alert import Alert
from cnn_tui.dashboard.widgets.event_list import EventList
from cnn_tui.terminal.screen_diff import ScreenDiff
from golden import golden_run, rewrite_events
from pilot import press, screen_text, settle

LONG_ERROR = " ".join(f"word{number}" for number in range(200))


def failed_run(runs_dir):
    def change(event):
        if isinstance(event, events.RunFinished):
            return dataclasses.replace(event, error=LONG_ERROR)
        return event

    return rewrite_events(golden_run(runs_dir, "failed"), change)


@pytest.mark.parametrize("size", [(120, 36), (80, 24), (60, 20)], ids=str)
async def test_long_error_is_read_in_full(tmp_path, size):
    app = Dashboard(RunScreen(failed_run(tmp_path)))
    async with app.run_test(size=size) as pilot:
        await settle(pilot)
        assert "more lines: shift+tab shows them" in screen_text(app)
        seen = set(screen_text(app).split())
        await press(pilot, "shift+tab")
        assert isinstance(app.focused, Alert)
        for _ in range(10):
            seen.update(screen_text(app).split())
            await press(pilot, "pagedown")
        assert seen >= set(LONG_ERROR.split())
        await press(pilot, "escape")
        assert not isinstance(app.focused, Alert)
        assert "more lines: shift+tab shows them" in screen_text(app)


@pytest.mark.parametrize(
    ("key", "expected"),
    [("1", "1124-0412-amber"), ("3", "watch"), ("4", "resume"), ("5", LONG_ERROR)],
)
@pytest.mark.parametrize("screen", [RunScreen, RunsScreen])
async def test_key_copies_id_command_and_error(tmp_path, key, expected, screen):
    run = failed_run(tmp_path)
    app = Dashboard(RunScreen(run) if screen is RunScreen else RunsScreen(tmp_path))
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "y", key)
        assert expected in app.clipboard
        assert "Copied: " in screen_text(app)


async def test_text_selected_with_the_mouse_is_copied(tmp_path):
    app = Dashboard(RunScreen(failed_run(tmp_path)))
    async with app.run_test(size=(120, 36)) as pilot:
        await settle(pilot)
        await pilot.mouse_down(Alert, offset=(2, 0))
        await pilot.hover(Alert, offset=(12, 0))
        await pilot.mouse_up(Alert, offset=(12, 0))
        await settle(pilot)
        selected = app.screen.get_selected_text()
        assert selected
        assert selected in LONG_ERROR
        await press(pilot, "y")
        assert app.clipboard == selected
        assert app.screen.get_selected_text() is None
        await press(pilot, "y")  # without a selection it asks
        assert app.screen is not app.screen_stack[1]


async def test_ctrl_c_copies_a_selection_and_interrupts_without_one(tmp_path):
    screen = RunScreen(golden_run(tmp_path, "completed"))
    app = Dashboard(screen)
    async with app.run_test(size=(120, 36)) as pilot:
        await settle(pilot)
        screen._select_all_in_widget(screen.query_one(EventList))
        await press(pilot, "ctrl+c")
        assert app.is_running
        assert "★ best" in app.clipboard
        await pilot.press("ctrl+c")
        await pilot.pause()
        assert app._exit


async def test_selection_in_a_panel_that_shrinks_is_harmless(tmp_path):
    screen = RunScreen(golden_run(tmp_path, "completed"))
    app = Dashboard(screen)
    async with app.run_test(size=(120, 36)) as pilot:
        await settle(pilot)
        events_panel = screen.query_one(EventList)
        screen._select_all_in_widget(events_panel)
        events_panel._lines = []
        assert screen.get_selected_text() == ""


def test_clipboard_sequence_reaches_the_terminal_unchanged():
    sequence = f"\x1b]52;c;{base64.b64encode(LONG_ERROR.encode()).decode()}\a"
    assert sequence in ScreenDiff().minimize(f"\x1b[1;1Htext{sequence}")
