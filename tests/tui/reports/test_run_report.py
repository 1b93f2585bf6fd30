"""The summary of a run that `show` and a closed dashboard print."""

import re

import pytest

from cnn_engine.runlog.events import (
    CommandApplied,
    CommandRefused,
    RunFinished,
    RunResumed,
    ScalarsLogged,
)
from cnn_engine.runs.recorder import Recorder
from cnn_engine.runs.summary import read_summary
from cnn_tui.reports.run import show_run
from cnn_tui.reports.runs import CURVE_WIDTH
from golden import add_events, golden_run, running_run, set_local_host
from loops_for_tests import classifier, finished, loop_run
from recorded_loops import LoopForTests

PAUSE = CommandApplied(command="pause", by="key")
UNPAUSE = CommandApplied(command="unpause", by="cli")
DETACHED = RunFinished(status="detached", exit_code=0, seconds=63.0)
RESUMED = RunResumed(pid=1, host="", version="", epoch=2, step=0, file="last.pt", seconds=63.0)


@pytest.mark.parametrize(
    ("events", "status", "expected"),
    [
        ([], "training", "Training continues in the background. Watch it: cnn-tui watch"),
        ([DETACHED], "detached", "Training continues in the background. Watch it: cnn-tui watch"),
        ([DETACHED, RESUMED], "starting", "Training continues in the background. Watch it: "),
        ([PAUSE, DETACHED], "paused", "Paused in the background. Continue: cnn-tui unpause 1124"),
        ([PAUSE, DETACHED, RESUMED], "paused", "Paused in the background. Continue: cnn-tui unp"),
        ([PAUSE, DETACHED, RESUMED, PAUSE, UNPAUSE], "starting", "Training continues in the back"),
        ([PAUSE, RESUMED], "starting", "Training continues in the background"),
    ],
)
def test_summary_states_what_a_background_run_does(tmp_path, capsys, events, status, expected):
    """After `d` in a paused run, "starting" looked like training."""
    run = add_events(set_local_host(running_run(tmp_path, 30)), *events)
    with Recorder(run):
        assert read_summary(run).status == status
        show_run(run, brief=True)
    out = capsys.readouterr().out
    assert expected in out
    assert "cnn-tui watch" in out
    assert f"{status} after" in out


def test_several_processes_have_a_line_with_their_times(tmp_path, capsys):
    show_run(golden_run(tmp_path, "distributed"), brief=True)
    out = " ".join(capsys.readouterr().out.split())
    assert "2 processes on box: step 4.70–4.78 ms, exchange 54%" in out
    assert "on cpu ×1, 2 processes in fp32" in out
    assert " · exchange " in out.partition("Step time:")[2]
    assert "A process was lost: Read error [127.0.0.1]:921: Connection reset by peer" in out


def test_ended_run_is_not_in_the_background(tmp_path, capsys):
    show_run(golden_run(tmp_path, "completed"), brief=True)
    out = capsys.readouterr().out
    assert "background" not in out
    assert "Open:    cnn-tui watch 1124-0412-amber" in out


def test_stopped_run_of_another_loop_is_resumed_in_its_script(tmp_path, capsys):
    loop = LoopForTests(tmp_path, epochs=2).train_epochs(1)
    loop.run.saved("model.pt")
    loop.kill()
    show_run(loop.directory, brief=True)
    out = capsys.readouterr().out
    assert f'cnn_tui.init(resume="{loop.directory.id}")' in " ".join(out.split())
    assert "cnn-tui resume" not in out


@pytest.mark.parametrize("columns", [20, 24, 30, 40, 60, 80, 120])
def test_no_number_is_cut_on_a_narrow_terminal(tmp_path, capsys, monkeypatch, columns):
    """Bars are left out first, then intervals; accuracies are always complete."""
    run = golden_run(tmp_path, "completed")
    monkeypatch.setenv("COLUMNS", "200")
    show_run(run)
    whole = _tables(capsys.readouterr().out)
    monkeypatch.setenv("COLUMNS", str(columns))
    show_run(run)
    shown = _tables(capsys.readouterr().out)
    assert "…" not in shown
    assert set(re.findall(r"[0-9.%/]*[0-9][0-9.%/]*", shown)) <= set(
        re.findall(r"[0-9.%/]*[0-9][0-9.%/]*", whole)
    )
    assert "accuracy" in shown
    assert ("95% interval" in shown) == (columns >= 60)
    assert ("━" in shown) == (columns >= 80)


def _tables(out):
    """Return the lines from the class table up to the confused pairs."""
    return out.partition("By class")[2].partition("Most confused")[0].partition("Test\n")[0]


def test_run_of_another_loop_is_shown_with_its_series(tmp_path, capsys):
    run = loop_run(tmp_path, finished(classifier(), status="stopped"))
    show_run(run)
    out = capsys.readouterr().out
    assert "Training loop of Lightning 2.5: 10 epochs, 40 steps per epoch, 4 classes" in out
    assert re.search(r"val/f1 +0\.9 +0\.4 +0\.9\n", out)
    assert "By class, validation, epoch 6" in out
    assert "Resume:  run its own script again with cnn_tui.init(resume=" in out
    assert "images" not in out.split("By class")[0]


@pytest.mark.parametrize("command", ["show one", "compare one two"])
def test_of_many_series_the_first_and_those_with_a_role_are_listed(tmp_path, run_cli, command):
    names = [f"layer {index}" for index in range(40)]
    values = dict.fromkeys([*names, "val/accuracy"], (0.5,))
    logged = [*classifier(epochs=1), ScalarsLogged(step=40, epoch=1, values=values)]
    for run_id in ("one", "two"):
        loop_run(tmp_path / "runs", finished(logged), run_id)
    code, out, _ = run_cli(*command.split(), cwd=tmp_path)
    assert code == 0
    assert "layer 13" in out
    assert "layer 20" not in out
    assert "val/accuracy" in out
    (more,) = [line for line in out.splitlines() if line.startswith("…")]
    assert re.match(r"… and 26 more( series)?: cnn-tui export one (two )?--to csv-series", more)


def test_loop_without_accuracy_and_with_a_refused_command(tmp_path, capsys):
    loop = LoopForTests(tmp_path)
    for epoch in loop.run.epochs(2):
        loop.run.log({"train/loss": 1.0, "val/loss": 0.5})
        if epoch:
            loop.send("epochs", 1)
    refused = [event.text for event in loop.events() if isinstance(event, CommandRefused)]
    assert refused == ["epochs 1: epoch 2 has begun; set 2 or more"]
    show_run(loop.finish())
    out = capsys.readouterr().out
    assert "Best epoch 2 of 2: validation loss 0.5000\n" in out
    assert "has begun" not in out


@pytest.mark.parametrize(("columns", "is_beside"), [(120, True), (80, False)])
def test_accuracy_is_drawn_beside_the_loss_if_there_is_room(
    tmp_path, capsys, monkeypatch, columns, is_beside
):
    monkeypatch.setenv("COLUMNS", str(columns))
    show_run(golden_run(tmp_path, "completed"), brief=True)
    titles = next(line for line in capsys.readouterr().out.splitlines() if "Loss by epoch" in line)
    assert ("Accuracy in % by epoch" in titles) == is_beside


@pytest.mark.parametrize("command", ["show", "compare"])
def test_output_to_a_pipe_is_not_padded(tmp_path, run_cli, command):
    runs = [golden_run(tmp_path, "completed", f"1124-0412-{word}").id for word in ("amber", "ash")]
    code, out, _ = run_cli(
        command, *runs[: 1 + (command == "compare")], "--runs-dir", ".", cwd=tmp_path
    )
    assert code == 0
    assert not [line for line in out.splitlines() if line != line.rstrip()]


def test_runs_can_have_a_column_with_curves(tmp_path, run_cli):
    golden_run(tmp_path, "completed", "1124-0412-amber")
    golden_run(tmp_path, "failed", "1124-0412-ash")
    code, out, _ = run_cli("runs", "--curves", "--runs-dir", ".", cwd=tmp_path)
    assert code == 0
    heading, *rows = out.splitlines()
    start = heading.index("val loss")
    curves = {row.split()[0]: row[start : start + CURVE_WIDTH].strip() for row in rows}
    assert curves["1124-0412-amber"][0] == "█"  # the first epoch has the highest loss
    assert len(curves["1124-0412-amber"]) == CURVE_WIDTH
    assert "val loss" not in run_cli("runs", "--runs-dir", ".", cwd=tmp_path)[1]


def test_compare_draws_the_validation_losses_of_all_runs(tmp_path, run_cli):
    ids = [golden_run(tmp_path, "completed", f"1124-0412-{word}").id for word in ("amber", "ash")]
    code, out, _ = run_cli("compare", *ids, "--runs-dir", ".", cwd=tmp_path)
    assert code == 0
    _, heading, chart = out.partition("Validation loss by epoch:")
    chart = chart.partition("\nNo config differences")[0]
    assert heading
    assert "AAA" in chart  # without colours, a letter for each run; the first one is above
    assert "1124-0412-ash" in out
