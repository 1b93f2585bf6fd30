"""Imported runs on the screens; they cannot be controlled or resumed."""

import math
from dataclasses import replace

import pytest

from cnn_engine.errors import ConfigError
from cnn_engine.importers.importer import Importer
from cnn_engine.importers.open import open_source
from cnn_engine.runlog.events import EpochFinished
from cnn_engine.runs.directory import create_run
from cnn_engine.runs.summary import read_summary
from cnn_engine.session.engine import Engine
from cnn_tui.dashboard.app import Dashboard
from cnn_tui.dashboard.screens.compare import CompareScreen
from cnn_tui.dashboard.screens.run import RunScreen
from cnn_tui.dashboard.widgets.accuracy_chart import AccuracyChart
from cnn_tui.dashboard.widgets.epoch_table import EpochTable
from cnn_tui.dashboard.widgets.loss_chart import LossChart
from cnn_tui.dashboard.widgets.sparklines import Sparklines
from cnn_tui.exports.formats import RECORD_FORMATS, export_record
from golden import golden_run, rewrite_events
from imports_for_tests import KERAS, LIGHTNING, import_text
from pilot import screen_text, settle


async def assert_can_be_compared_and_exported(run, tmp_path, size):
    app = Dashboard(CompareScreen([run, golden_run(tmp_path, "completed")]))
    async with app.run_test(size=size) as pilot:
        await settle(pilot)
        assert "Comparing 2 runs" in screen_text(app)
    for to in RECORD_FORMATS:
        export_record([run], to, tmp_path / f"exported-{to}")


@pytest.mark.parametrize("size", [(120, 36), (80, 24), (40, 12)])
async def test_imported_run_opens_in_every_screen(tmp_path, size):
    run = import_text(tmp_path, LIGHTNING)
    app = Dashboard(RunScreen(run))
    async with app.run_test(size=size) as pilot:
        await settle(pilot)
        assert "┤" in screen_text(app)
        for key in "123":
            await pilot.press(key)
            await settle(pilot)
            assert "nan" not in screen_text(app)
    await assert_can_be_compared_and_exported(run, tmp_path, size)


async def test_run_with_series_only_opens_in_every_screen(tmp_path):
    run = import_text(tmp_path, "step,fid,is\n10,9,1\n20,nan,2\n30,7,inf\n")
    app = Dashboard(RunScreen(run))
    async with app.run_test(size=(120, 36)) as pilot:
        await settle(pilot)
        assert "30 steps" in screen_text(app)
        for key in "123456":
            await pilot.press(key)
            await settle(pilot)
            assert "nan" not in screen_text(app)
    await assert_can_be_compared_and_exported(run, tmp_path, (120, 36))


async def test_followed_run_is_live_and_not_controllable(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text(LIGHTNING)
    run = create_run(tmp_path / "runs")
    importer = Importer(open_source(path), run)
    importer.poll()
    app = Dashboard(RunScreen(run))
    async with app.run_test(size=(120, 36)) as pilot:
        await settle(pilot)
        assert "training" in screen_text(app)
        assert "Step 200  2 validations" in screen_text(app)
        await pilot.press("p")
        await settle(pilot)
        assert "cannot be controlled" in screen_text(app)
    assert not run.commands.exists()
    importer.close(ended=False)


def test_imported_run_is_not_resumed(tmp_path):
    with pytest.raises(ConfigError, match="another program trains it; resume it with"):
        Engine.resume(import_text(tmp_path, KERAS))


REDRAWN = (LossChart, AccuracyChart, Sparklines, EpochTable)


def lines_of(app, panel):
    return list(map(str, app.screen.query_one(panel)._lines))


async def test_open_dashboard_shows_a_log_that_was_written_anew(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text(LIGHTNING)
    run = create_run(tmp_path / "runs")
    importer = Importer(open_source(path), run)
    importer.poll()
    app = Dashboard(RunScreen(run))
    async with app.run_test(size=(120, 36)) as pilot:
        await settle(pilot)
        assert "1.5000" in screen_text(app)
        changed = LIGHTNING.replace("0.5,1.5,", "0.9,9.25,").replace("0,50,2.1", "0,50,7.7")
        path.write_text(changed)
        importer.poll()
        app.screen.poll()
        await settle(pilot)
        drawn = [lines_of(app, panel) for panel in REDRAWN]
    reopened = Dashboard(RunScreen(run))
    async with reopened.run_test(size=(120, 36)) as pilot:
        await settle(pilot)
        expected = [lines_of(reopened, panel) for panel in REDRAWN]
    assert drawn == expected
    importer.close(ended=False)


def test_best_epoch_without_a_validation_loss_has_the_highest_accuracy(tmp_path):
    run = import_text(tmp_path, "epoch,val_acc\n1,0.4\n2,0.6\n3,0.5\n")
    summary = read_summary(run)
    assert (summary.best_epoch, summary.best_val_accuracy, summary.best_val_loss) == (2, 0.6, None)
    with_loss = read_summary(import_text(tmp_path, "epoch,val_acc,val_loss\n1,0.4,1\n2,0.6,2\n"))
    assert (with_loss.best_epoch, with_loss.best_val_accuracy) == (1, 0.4)
    diverged = rewrite_events(
        golden_run(tmp_path, "completed"),
        lambda event: (
            replace(event, val_loss=math.nan) if isinstance(event, EpochFinished) else event
        ),
    )
    assert read_summary(diverged).best_epoch is None


@pytest.mark.parametrize("count", [2, 3])
async def test_comparison_of_runs_without_losses_begins_with_the_accuracy(tmp_path, count):
    runs = [import_text(tmp_path, f"epoch,val_acc\n1,0.4\n2,0.{5 + n}\n") for n in range(count)]
    app = Dashboard(CompareScreen(runs))
    async with app.run_test(size=(120, 36)) as pilot:
        await settle(pilot)
        text = screen_text(app)
        assert "ccuracy by epoch" in text
        assert "v and x switch" not in text
