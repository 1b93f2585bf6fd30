"""The compare screen: curves, metrics, config differences, verdicts."""

import math
import re
from dataclasses import replace

import pytest

from cnn_engine.results.comparison import compare
from cnn_engine.runlog import events
from cnn_engine.runlog.curve import Curve, CurvePoint
from cnn_engine.runlog.log import LogReader
from cnn_tui.charts.binning import BinnedCurve, Window
from cnn_tui.charts.traces import OverlayView, TraceCache, axis_extent, run_extent
from cnn_tui.dashboard.app import Dashboard
from cnn_tui.dashboard.compared import ComparedRun, class_accuracy_rows, config_rows, metric_rows
from cnn_tui.dashboard.dialogs.help import HelpScreen
from cnn_tui.dashboard.keys import keys_for
from cnn_tui.dashboard.screens.compare import MAX_RUNS, CompareScreen
from cnn_tui.dashboard.screens.runs import RunsScreen
from cnn_tui.dashboard.widgets.compare.overlay_chart import OverlayChart
from cnn_tui.dashboard.widgets.compare.verdicts import Verdicts
from cnn_tui.live.follower import Follower
from cnn_tui.reports.comparison import print_comparison
from cnn_tui.settings import Options
from golden import add_events, golden_lines, golden_run, rewrite_events, running_run
from loops_for_tests import classifier, finished, gan, loop_run
from pilot import press, record_repaints, screen_text, settle, wait_for_text
from runs_for_tests import RunForTests, poll

HOSTILE = "[red]\x1b]0;x\x07 [@click=app.exit]\n"


def variant(runs_dir, number, **settings):
    """Return a copy of the completed run whose losses and mistakes grow with `number`."""

    def change(event):
        match event:
            case events.RunStarted():
                optimizer = event.config["optimizer"] | settings
                return replace(
                    event,
                    name=f"run {number}",
                    config=event.config | {"optimizer": optimizer},
                )
            case events.StepsFinished():
                return replace(event, loss=event.loss * (1 + number), seconds=1.0 + number)
            case events.EpochFinished():
                return replace(event, val_loss=event.val_loss * (1 + number))
            case events.TestFinished():
                correct = (event.correct[0] - number, *event.correct[1:])
                return replace(event, loss=event.loss * (1 + number), correct=correct)
            case _:
                return event

    return rewrite_events(golden_run(runs_dir, "completed", f"run-{number}"), change)


def compared(*runs):
    """Return the runs as the compare screen reads them."""
    followers = [Follower(run, trains_here=False) for run in runs]
    for follower in followers:
        poll(follower)
    return [ComparedRun(follower, index) for index, follower in enumerate(followers)]


async def text_after(runs, *keys, size=(120, 36)):
    """Return the text of the compare screen after the keys."""
    app = Dashboard(CompareScreen(runs))
    async with app.run_test(size=size) as pilot:
        await settle(pilot)
        for key in keys:
            await pilot.press(key)
            await settle(pilot)
        return screen_text(app)


# Tables


def test_config_rows_contain_only_differences(tmp_path):
    runs = compared(variant(tmp_path, 0), variant(tmp_path, 1, lr=0.01, momentum=0.9))
    assert [(row.label, row.cells) for row in config_rows(runs)] == [
        ("optimizer.lr", ["0.001", "0.01"]),
        ("optimizer.momentum", ["–", "0.9"]),
    ]
    assert config_rows(runs[:1] * 2) == []


def test_best_metrics_are_marked_unless_equal(tmp_path):
    runs = compared(variant(tmp_path, 1), variant(tmp_path, 0), variant(tmp_path, 2))
    rows = {row.label: row for row in metric_rows(runs)}
    assert rows["test loss"].best == {1}
    assert rows["best val loss"].best == {1}
    assert rows["test accuracy"].cells == ["99.44%", "99.72%", "99.16%"]
    assert rows["parameters"].best == set()
    assert rows["status"].cells == ["done"] * 3


def test_class_accuracies_are_differences_from_the_first_run(tmp_path):
    title, rows = class_accuracy_rows(compared(variant(tmp_path, 0), variant(tmp_path, 7)))
    assert title == "test"
    assert rows[0].label == "0"
    assert rows[0].cells == ["100.0%", "-25.0"]
    assert rows[0].best == {0}
    assert rows[1].cells[1] == "0.0"


def test_class_accuracies_use_validation_without_test(tmp_path):
    runs = compared(golden_run(tmp_path, "completed", "a"), golden_run(tmp_path, "stopped", "b"))
    assert class_accuracy_rows(runs).title == "last validation"
    assert class_accuracy_rows(compared(running_run(tmp_path / "new", 3))) == (
        "last validation",
        [],
    )


def test_class_accuracies_skip_epochs_without_validation(tmp_path):
    def without_validation(event):
        if isinstance(event, events.EpochFinished) and event.epoch == 14:
            return replace(event, val_loss=math.nan, correct=(), total=(), confusion=())
        return event

    whole = golden_run(tmp_path, "stopped", "a")
    runs = compared(whole, rewrite_events(golden_run(tmp_path, "stopped", "b"), without_validation))
    assert not runs[1].state.epochs[-1].is_validated
    _, rows = class_accuracy_rows(runs)
    assert len(rows) == 10
    assert all("–" not in row.cells for row in rows)


def test_imported_accuracy_is_shown_without_counts(tmp_path):
    def without_counts(event):
        if isinstance(event, events.EpochFinished):
            return replace(event, correct=(), total=(), confusion=(), accuracy=0.75)
        return event

    runs = compared(rewrite_events(golden_run(tmp_path, "completed"), without_counts))
    rows = {row.label: row for row in metric_rows(runs)}
    assert rows["  its accuracy"].cells == ["75.00%"]


# Curves by epoch, step and time


def test_cursor_reads_values_on_every_axis(tmp_path):
    (run,) = compared(variant(tmp_path, 1))
    state = run.state
    epochs, steps = state.epochs, state.steps_per_epoch
    for x_axis, cursor in (("epoch", 2.0), ("step", 2.0 * steps), ("time", 4.3)):
        view = OverlayView(x_axis=x_axis, cursor=cursor, metric="validation loss")
        assert run.value_at_cursor(view) == f"{epochs[1].val_loss:.4f}", x_axis
    view = OverlayView(x_axis="step", cursor=float(steps), metric="training loss")
    assert run.value_at_cursor(view) == f"{state.curve.losses[0]:.4f}"
    both_losses = run.value_at_cursor(OverlayView(metric="losses"))
    assert both_losses == f"{state.curve.losses[-1]:.4f}/{epochs[-1].val_loss:.4f}"
    accuracy = run.value_at_cursor(OverlayView(metric="accuracy", cursor=1.0))
    assert accuracy == f"{100 * epochs[0].val_accuracy:.1f}%"


def test_axis_extends_beyond_running_runs_only(tmp_path):
    done, live = compared(golden_run(tmp_path, "completed", "a"), running_run(tmp_path, 40))
    for x_axis in ("epoch", "step", "time"):
        view = OverlayView(x_axis=x_axis)
        assert axis_extent([done.state], view) == run_extent(done.state, view)
        assert axis_extent([live.state], view) > run_extent(live.state, view)
        assert axis_extent([done.state, live.state], view) >= run_extent(done.state, view)


def test_bins_by_time_contain_their_points():
    curve = Curve([CurvePoint(step, float(step), 0.0, 9.0, 10.0 * step) for step in (1, 2, 3, 4)])
    columns = BinnedCurve(Window(0.0, 40.0, 4), by_time=True)
    columns.extend(curve)
    assert [columns.mean(column) for column in range(4)] == [None, 1.0, 2.0, 3.5]


def test_nan_leaves_a_gap_in_the_trace(tmp_path):
    def change(event):
        if isinstance(event, events.EpochFinished) and event.epoch == 3:
            return replace(event, val_loss=math.nan)
        return event

    (run,) = compared(rewrite_events(golden_run(tmp_path, "completed"), change))
    view = OverlayView(metric="validation loss")
    (trace,) = run.curves.traces(run.state, Window(0.0, 20.0, 200), view)
    assert len(trace.points) == 19
    assert [point.is_joined for point in trace.points[:4]] == [False, True, False, True]


def test_cached_traces_include_new_points(tmp_path):
    (run,) = compared(running_run(tmp_path, 30))
    view, window = OverlayView(metric="training loss"), Window(0.0, 20.0, 100)
    (before,) = run.curves.traces(run.state, window, view)
    with run.follower.run.events.open("a") as log:
        log.writelines(f"{line}\n" for line in golden_lines("completed")[30:60])
    poll(run.follower)
    (after,) = run.curves.traces(run.state, window, view)
    (fresh,) = TraceCache(0).traces(run.state, window, view)
    assert len(after.points) > len(before.points)
    assert after.points == fresh.points


# On the screen


async def test_training_loss_is_drawn_without_validation(tmp_path):
    def without_validation(event):
        if isinstance(event, events.EpochFinished):
            return replace(event, val_loss=math.nan, correct=(), total=(), confusion=())
        return event

    runs = [rewrite_events(variant(tmp_path, number), without_validation) for number in (1, 2, 3)]
    async with Dashboard(CompareScreen(runs)).run_test(size=(120, 36)) as pilot:
        await wait_for_text(pilot, "Training loss by epoch")
        assert "┤" in screen_text(pilot.app)
        await pilot.press("v", "v")
        await wait_for_text(pilot, "no accuracy by epoch; v and x switch metric and axis")


@pytest.mark.parametrize("size", [(200, 60), (120, 36), (80, 24), (60, 20), (40, 12)])
async def test_every_curve_has_the_letter_of_its_run(tmp_path, size):
    text = await text_after([variant(tmp_path, number) for number in range(3)], size=size)
    chart = [line for line in text.splitlines() if "┤" in line or "│" in line]
    for letter in "ABC":
        assert any(letter in line for line in chart), text
    assert "run 0" in text or "ru…" in text


async def test_letters_are_shown_without_colors_and_braille(tmp_path, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    runs = [variant(tmp_path, number) for number in range(3)]
    app = Dashboard(CompareScreen(runs), options=Options(ascii=True))
    async with app.run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        rows = screen_text(app).splitlines()[3:12]
        assert all(any(letter in row for row in rows) for letter in "ABC"), rows


async def test_keys_change_axis_and_curves(tmp_path):
    runs = [variant(tmp_path, 0), variant(tmp_path, 1)]
    assert "Loss (a training, A validation) by epoch" in await text_after(runs)
    assert "by step" in await text_after(runs, "x")
    assert "by time in seconds" in await text_after(runs, "x", "x")
    assert "Validation loss by epoch" in await text_after(runs, "v")
    assert "Training loss by epoch" in await text_after(runs, "v", "v")
    assert "Validation accuracy by epoch" in await text_after(runs, "v", "v", "v")


async def test_cursor_reads_values_and_escape_clears_it(tmp_path):
    runs = [variant(tmp_path, 0), variant(tmp_path, 1)]
    text = await text_after(runs, "left", "left")
    assert "epoch 19." in text
    app = Dashboard(CompareScreen(runs))
    async with app.run_test() as pilot:
        await press(pilot, "left", "escape")
        assert app.screen.query_one(OverlayChart).view.cursor is None
        assert "run 0" in screen_text(app)
        await press(pilot, "tab", "escape")
        assert app.screen.focused is None
        await press(pilot, "escape")
        assert app.is_running
        assert "Press q to quit" in screen_text(app)


async def test_views_show_config_differences_and_classes(tmp_path):
    runs = [variant(tmp_path, 0), variant(tmp_path, 3, lr=0.5)]
    text = await text_after(runs, "2")
    assert "Config differences" in text
    assert "optimizer.lr" in text
    assert "0.5" in text
    text = await text_after(runs, "3")
    assert "Accuracy by class, test" in text
    assert "-10.7" in text
    assert "All have the same config." in await text_after([runs[0], runs[0]], "2")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Two trained runs, the second with more epochs and another learning rate."""
    runs_dir = tmp_path_factory.mktemp("runs")
    return [
        RunForTests(runs_dir, "train.epochs=1").train().directory,
        RunForTests(runs_dir, "train.epochs=4", "optimizer.lr=0.01").train().directory,
    ]


def verdicts_of(app):
    panel = app.screen.query_one(Verdicts)
    return " ".join(line.plain for line in panel.draw(panel._data, 200, 0))


async def test_verdicts_show_mcnemar_test(trained):
    first, other = trained
    (verdict,) = compare(trained).verdicts
    app = Dashboard(CompareScreen(trained))
    async with app.run_test(size=(120, 36)) as pilot:
        await wait_for_text(pilot, "Of the same test images")
        assert "McNemar's exact test" in verdicts_of(app)
        assert f"B {other.id} is significantly better than A {first.id}" in verdicts_of(app)
        assert f"only B {other.id} on {verdict.disagreement.only_second}." in verdicts_of(app)
        assert re.search(r"vs A +better", screen_text(app))
        assert re.search(r"McNemar's p +\d", screen_text(app))
    app = Dashboard(CompareScreen(trained[::-1]))
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_for_text(pilot, "vs A")
        assert re.search(r"vs A +worse", screen_text(app))


async def test_run_compared_with_itself_shows_no_difference(trained):
    async with Dashboard(CompareScreen([trained[0]] * 2)).run_test(size=(120, 36)) as pilot:
        await wait_for_text(pilot, "no difference")
        assert "both are correct on exactly the same images" in verdicts_of(pilot.app)
        assert "McNemar's p " not in screen_text(pilot.app)


async def test_missing_predictions_are_reported(trained, tmp_path):
    runs = [trained[0], golden_run(tmp_path, "completed")]
    async with Dashboard(CompareScreen(runs)).run_test(size=(120, 36)) as pilot:
        await wait_for_text(pilot, "cannot be tested")
        assert "no such file" in verdicts_of(pilot.app)


async def test_right_key_scrolls_through_eight_runs(tmp_path):
    runs = [variant(tmp_path, number) for number in range(MAX_RUNS)]
    before = await text_after(runs, "3", size=(80, 24))
    after = await text_after(runs, "3", "right", "right", size=(80, 24))
    assert "B run 1" in before
    assert "A run 0" in after
    assert "B run 1" not in after
    assert "D run 3" in after


async def test_live_run_is_redrawn(tmp_path):
    done, live = golden_run(tmp_path, "completed", "done"), running_run(tmp_path, 40)
    app = Dashboard(CompareScreen([done, live]))
    async with app.run_test(size=(120, 36)) as pilot:
        await settle(pilot)
        before = screen_text(app)
        assert "Comparing 2 runs, 1 running" in before
        lines = golden_lines("completed")
        with live.events.open("a") as log:
            log.writelines(f"{line}\n" for line in lines[40:])
        app.screen.poll()
        await settle(pilot)
        assert "running" not in screen_text(app)
        assert screen_text(app).count("20 of 20") == 2


async def test_idle_compare_screen_repaints_nothing(tmp_path):
    app = Dashboard(
        CompareScreen([golden_run(tmp_path, "completed"), running_run(tmp_path, 40, "b")])
    )
    async with app.run_test(size=(120, 36)) as pilot:
        await settle(pilot)
        repaints = record_repaints(app.screen.query("*"))
        app.screen.poll()
        await settle(pilot)
        assert repaints == []


@pytest.mark.parametrize("size", [(1, 1), (12, 4), (40, 12), (300, 100)])
async def test_compare_screen_fits_any_terminal(tmp_path, size):
    runs = [golden_run(tmp_path, log, log) for log in ("completed", "failed", "stopped", "resumed")]
    runs.append(running_run(tmp_path, 1, "new"))
    for key in "123":
        await text_after(runs, key, "right", "plus", size=size)


@pytest.mark.parametrize("lines", [1, 60])
async def test_every_key_works_on_the_compare_screen(tmp_path, lines):
    runs = [running_run(tmp_path, lines, "a"), golden_run(tmp_path, "completed", "b")]
    for view in "123":
        app = Dashboard(CompareScreen(runs))
        async with app.run_test(size=(100, 30)) as pilot:
            await settle(pilot)
            await pilot.press(view)
            for key in keys_for("compare"):
                if key.action not in ("close", "back", "help", "app.command_palette"):
                    await pilot.press(*key.keys.split(","))
            await press(pilot, "question_mark")
            assert isinstance(app.screen, HelpScreen)
            await pilot.press("escape")
            await pilot.press("q")
        assert not app.is_running


async def test_hostile_names_are_shown_as_text(tmp_path):
    def change(event):
        match event:
            case events.RunStarted():
                return replace(event, name=HOSTILE, config={HOSTILE: {HOSTILE: HOSTILE}})
            case events.RunPrepared():
                return replace(event, classes=(HOSTILE, *event.classes[1:]))
            case _:
                return event

    hostile = rewrite_events(golden_run(tmp_path, "completed", "hostile"), change)
    for key in "123":
        text = await text_after([hostile, golden_run(tmp_path, "completed", key)], key)
        assert "\x1b" not in text
        assert "[red]" in text


def test_readable_part_of_damaged_log_is_compared(tmp_path):
    run = golden_run(tmp_path, "completed")
    run.events.write_bytes(b"\x00\xff garbage\n" + run.events.read_bytes()[2000:9000])
    (damaged,) = compared(run)
    assert list(LogReader(run.events).poll())
    assert metric_rows([damaged])
    whole = add_events(run, events.Notice(text="x"))
    assert metric_rows(compared(whole))


async def test_run_list_compares_selected_runs(tmp_path):
    for number in range(3):
        variant(tmp_path, number)
    app = Dashboard(RunsScreen(tmp_path))
    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "c")
        assert "Select 2 to 8 runs" in screen_text(app)
        await pilot.press("space", "down", "space", "c")
        await settle(pilot)
        assert isinstance(app.screen, CompareScreen)
        assert "Comparing 2 runs" in screen_text(app)
        await pilot.press("q")
        await settle(pilot)
        assert isinstance(app.screen, RunsScreen)


def test_compare_command_prints_and_exports(tmp_path, run_cli):
    for number in range(2):
        variant(tmp_path / "runs", number)
    assert "run-1" in run_cli("compare", "run-0", "run-1", cwd=tmp_path).out
    table = run_cli("export", "run-0", "run-1", "--to", "csv", "-o", "-", cwd=tmp_path)
    assert table.out.count("\nrun-1,") == 20
    page = run_cli("export", "run-0", "--to", "html", cwd=tmp_path)
    assert (page.out, page.code) == ("run-0.html\n", 0)
    again = run_cli("export", "run-0", "--to", "html", cwd=tmp_path)
    assert (again.code, again.errors.count("\n")) == (2, 1)
    assert "--force" in again.errors
    many = run_cli("export", "run-0", "run-1", "--to", "onnx", cwd=tmp_path)
    assert (many.code, "takes a single run" in many.errors) == (2, True)


async def test_series_of_other_loops_are_drawn_and_chosen(tmp_path):
    runs = [loop_run(tmp_path, finished(gan(steps)), f"gan-{steps}") for steps in (100, 200)]
    app = Dashboard(CompareScreen(runs))
    async with app.run_test(size=(120, 36)) as pilot:
        await wait_for_text(pilot, "d_loss by step")  # there is no loss of a clear role
        assert "0.005 (0.005 … 0.5)" in screen_text(app)
        await press(pilot, "V", "6")
        assert "g_loss by step" in screen_text(app)
        await press(pilot, "left")
        assert re.search(r"step 19\d  A 0\.6\d+  B 0\.\d+ ", screen_text(app))
        await press(pilot, "v")  # the losses again, of which there are none
        assert "d_loss by step" in screen_text(app)


async def test_series_with_the_name_of_a_metric_is_followed_by_the_next(tmp_path):
    logged = finished(
        replace(event, values={"accuracy": event.values["d_loss"], "lr": event.values["g_loss"]})
        if isinstance(event, events.ScalarsLogged)
        else event
        for event in gan()
    )
    runs = [loop_run(tmp_path, logged, f"keras-{number}") for number in range(2)]
    app = Dashboard(CompareScreen(runs))
    async with app.run_test(size=(120, 36)) as pilot:
        await wait_for_text(pilot, "accuracy by step")
        await press(pilot, "V", "5")
        assert "accuracy by step" in screen_text(app)
        await press(pilot, "v")
        assert "lr by step" in screen_text(app)


def test_printed_comparison_has_the_series_of_two_runs(tmp_path, capsys):
    runs = [
        loop_run(tmp_path, finished(gan()), "first"),
        loop_run(tmp_path, finished(classifier()), "second"),
        loop_run(tmp_path, finished(classifier(epochs=3)), "third"),
    ]
    print_comparison(compare(runs))
    out = capsys.readouterr().out
    assert "cannot be tested" not in out
    lines = [line.split() for line in out.splitlines()]
    assert "val/f1 – 0.9 (0.4 … 0.9) 0.8 (0.4 … 0.8)".split() in lines
    assert not any(line and line[0] == "d_loss" for line in lines)
