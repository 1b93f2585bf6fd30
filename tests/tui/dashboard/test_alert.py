"""The box of errors, alarms and notices on top of a run."""

import dataclasses
from types import SimpleNamespace

import pytest

from cnn_engine.runlog import events
from cnn_engine.runlog.log import GONE
from cnn_tui.dashboard.app import Dashboard
from cnn_tui.dashboard.screens.run import RunScreen
from cnn_tui.dashboard.widgets.alert import Alert
from golden import NOW, add_events, golden_run, rewrite_events, running_run
from pilot import SIZES, screen_text, settle

pytestmark = pytest.mark.usefixtures("fixed_time")

DOWNLOAD = events.Notice(
    time=NOW - 5,
    text="Training on the bundled digits instead: CIFAR-10 cannot be downloaded from "
    "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz (Temporary failure in name "
    "resolution); put cifar-10-batches-py/ into /home/me/.cache, or pass --data-dir",
    severity="info",
)
SKIPPED = events.Notice(time=NOW - 9, text="3 image files were skipped: a.jpg is damaged")


async def shown(run, size, engine=None):
    """Return the lines of the box, its classes, and the screen."""
    app = Dashboard(RunScreen(run, engine=engine))
    async with app.run_test(size=size) as pilot:
        await settle(pilot)
        alert = app.screen.query_one(Alert)
        lines = [alert.render_line(y).text.strip() for y in range(alert.size.height)]
        return lines, alert.classes, screen_text(app)


@pytest.mark.parametrize("size", SIZES)
async def test_a_notice_that_informs_takes_one_line_and_is_no_alarm(tmp_path, size):
    lines, classes, text = await shown(add_events(running_run(tmp_path, 60), DOWNLOAD), size)
    assert len(lines) == 1
    assert "-info" in classes
    assert lines[0].startswith("Training on the bundled digits")
    assert lines[0].endswith("…") or size[0] == 200
    assert "Training on the bundled digits" in text


async def test_damaged_files_come_before_notices_that_inform(tmp_path):
    run = add_events(running_run(tmp_path, 60), SKIPPED, DOWNLOAD)
    lines, classes, _ = await shown(run, (80, 24))
    assert [line.split()[0] for line in lines] == ["3", "Training"]
    assert "-info" not in classes


async def test_a_long_error_ends_in_an_ellipsis(tmp_path):
    def change(event):
        if isinstance(event, events.RunFinished):
            return dataclasses.replace(event, error="a long reason " * 40)
        return event

    lines, classes, _ = await shown(
        rewrite_events(golden_run(tmp_path, "failed"), change), (80, 24)
    )
    assert len(lines) == 4
    assert "more lines: shift+tab shows them" in lines[-1]
    assert "-failed" in classes


@pytest.mark.parametrize("size", [(200, 60), (120, 36), (80, 24)])
@pytest.mark.parametrize(
    ("reason", "advice"),
    [(GONE, "Move the directory back"), ("No space left on device", "Free disk space")],
)
async def test_an_unwritable_log_has_advice_for_its_reason(tmp_path, size, reason, advice):
    engine = SimpleNamespace(write_error=reason, has_ended=lambda: False)
    lines, classes, _ = await shown(running_run(tmp_path, 60), size, engine)
    text = " ".join(lines)
    assert reason in text
    assert f"this screen does not update. {advice}, or nothing more is saved" in text
    assert "-failed" in classes
