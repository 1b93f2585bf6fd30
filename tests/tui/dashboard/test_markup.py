"""Names that look like markup of rich or Textual are shown as they are, everywhere."""

import dataclasses

import pytest

from cnn_engine.runlog import events
from cnn_engine.runs.summary import read_summary
from cnn_engine.session.request import Request
from cnn_tui.dashboard.app import Dashboard
from cnn_tui.dashboard.dialogs.choice import Answer, ChoiceDialog
from cnn_tui.dashboard.dialogs.new_run import NewRunDialog
from cnn_tui.dashboard.dialogs.run_edits import delete_dialog, name_dialog
from cnn_tui.dashboard.screens.compare import CompareScreen
from cnn_tui.dashboard.screens.run import RunScreen
from cnn_tui.dashboard.screens.runs import RunsScreen
from golden import add_events, golden_run, rewrite_events
from pilot import press, screen_text, settle

pytestmark = pytest.mark.usefixtures("fixed_time")

NAMES = ("[/]", "[bold]x", r"\[x]", "acc[top5]", "[@click=app.exit]", "[red")
IDS = ("[bold]x", "[red")


def run_with_markup(runs_dir, run_id):
    """Create a run whose classes, name, preset, series, notice and output look like markup."""

    def change(event):
        match event:
            case events.RunPrepared():
                return dataclasses.replace(event, classes=(*NAMES, *event.classes[len(NAMES) :]))
            case events.RunStarted():
                config = event.config | {"[/]": {"[/]": "[/]"}}
                return dataclasses.replace(
                    event, run_id=run_id, name="[/]", preset="[/]", config=config
                )
        return event

    run = rewrite_events(golden_run(runs_dir, "completed", run_id), change)
    scalars = events.ScalarsLogged(step=1, epoch=1, values=dict.fromkeys(NAMES, (0.5,)))
    return add_events(run, scalars, events.Notice(text="[/]"), events.Notice(text="[red"))


@pytest.mark.parametrize("command", [f"show {IDS[0]}", "runs", "compare RUN OTHER"])
def test_reports(tmp_path, run_cli, command):
    for run_id in IDS:
        run_with_markup(tmp_path, run_id)
    words = command.replace("RUN", IDS[0]).replace("OTHER", IDS[1])
    code, out, errors = run_cli(*words.split(), "--runs-dir", ".", cwd=tmp_path)
    assert code == 0, errors
    expected = ("[/]",) if command == "runs" else NAMES
    assert [name for name in expected if name not in out] == []


async def test_screens(tmp_path):
    runs = [run_with_markup(tmp_path, run_id) for run_id in IDS]
    shown = ""
    for screen, keys in (
        (RunScreen(runs[0]), ("1", "2", "3", "4", "5", "6")),
        (RunsScreen(tmp_path), ("down", "up")),
        (CompareScreen(runs), ("1", "2", "3")),
    ):
        app = Dashboard(screen)
        async with app.run_test(size=(160, 50)) as pilot:
            for key in keys:
                await press(pilot, key)
                shown += screen_text(app)
    assert [name for name in NAMES if name not in shown] == []


@pytest.mark.parametrize("name", IDS)
async def test_dialogs(tmp_path, name):
    run = run_with_markup(tmp_path, name)
    summary = read_summary(run)
    app = Dashboard(RunsScreen(tmp_path))
    async with app.run_test(size=(120, 36)) as pilot:
        request = dataclasses.replace(Request.from_preset("digits"), like=name)
        for dialog, expected in (
            (name_dialog(summary), f"Name of {name};"),
            (delete_dialog([summary], "u"), f"Delete run {name}?"),
            (ChoiceDialog("Which preset?", "", Answer("1", name, name)), f" {name} (1) "),
            (NewRunDialog(request, tmp_path), f"New run: {name} "),
        ):
            app.push_screen(dialog)
            await settle(pilot)
            assert expected in screen_text(app)
            await press(pilot, "escape")
