"""Series of runs through the real command line, on the bundled digits."""

import json
import os
import re
import signal
import subprocess
from statistics import mean, stdev

import pytest

from cnn_engine.data.marks import Marked, write_marks
from cnn_engine.errors import ConfigError
from cnn_engine.runs.directory import list_runs
from cnn_engine.runs.groups import RunGroup, Spread
from cnn_engine.runs.lookup import find_run
from cnn_engine.runs.selection import select_runs
from cnn_engine.runs.summary import read_state, read_summary
from cnn_engine.session.series import Series
from cnn_engine.training.deadline import Deadline
from cnn_tui.cli.options import parse_time
from cnn_tui.headless.series import plan_series
from cnn_tui.reports.run import show_run
from cnn_tui.reports.series import print_series
from photos_for_tests import make_photos
from runs_for_tests import wait_until
from terminal import CLI, ENDLESS_RUN, SET_SMALL, environment


@pytest.fixture
def run_series(run_cli, tmp_path):
    """Function that trains a series without a dashboard."""

    def run(runs_dir, *options):
        return run_cli("run", "digits", *SET_SMALL, "--runs-dir", runs_dir, *options, cwd=tmp_path)

    return run


def test_series_reports_mean_and_deviation_per_value(tmp_path, run_series):
    options = ("--sweep", "optimizer.lr=0.001,0.003", "--set", "evaluate.tta=mirror")
    result = run_series(
        tmp_path, "--epochs", "1", "--seed", "5", "--repeat", "2", *options, "--json"
    )
    assert result.code == 0, result.errors
    report = json.loads(result.out)
    assert [(run["setting"], run["seed"]) for run in report["runs"]] == [
        ("optimizer.lr=0.001", 5),
        ("optimizer.lr=0.001", 6),
        ("optimizer.lr=0.003", 5),
        ("optimizer.lr=0.003", 6),
    ]
    summaries = {run.id: read_summary(run) for run in list_runs(tmp_path)}
    assert {run["run_id"] for run in report["runs"]} == summaries.keys()
    assert [run["config"]["optimizer"]["lr"] for run in report["runs"]] == [0.001] * 2 + [0.003] * 2
    assert {summary.group for summary in summaries.values()} == {report["runs"][0]["run_id"]}
    assert summaries[report["runs"][3]["run_id"]].name == "optimizer.lr=0.003 seed 6"
    for setting in report["settings"]:
        accuracies = [
            summaries[run["run_id"]].test_accuracy
            for run in report["runs"]
            if run["setting"] == setting["setting"]
        ]
        assert setting["test_accuracy"] == {
            "mean": mean(accuracies),
            "deviation": stdev(accuracies),
            "runs": 2,
        }
        assert setting["tta_accuracy"]["runs"] == setting["runs"] == 2


def test_folds_report_the_accuracy_over_all_images(tmp_path, run_series, capfd):
    result = run_series(tmp_path, "--epochs", "1", "--folds", "3", "--name", "digits", "--json")
    assert result.code == 0, result.errors
    report = json.loads(result.out)
    assert [run["fold"] for run in report["runs"]] == [1, 2, 3]
    assert [run["name"] for run in report["runs"]] == [f"digits fold {n}/3" for n in (1, 2, 3)]
    runs = [find_run(tmp_path, run["run_id"]) for run in report["runs"]]
    states = [read_state(run)[0] for run in runs]
    assert len({state.test.fingerprint for state in states}) == 1
    assert len({state.prepared.environment["images"] for state in states}) == 3
    (setting,) = report["settings"]
    validated = [image for state in states for image in (state.best.correct, state.best.total)]
    correct, images = (sum(map(sum, validated[first::2])) for first in (0, 1))
    rate = setting["out_of_fold_accuracy"]
    assert (rate["right"], rate["images"]) == (correct, images)
    assert images == states[0].prepared.train_images + states[0].prepared.val_images
    assert setting["best_val_accuracy"]["runs"] == 3
    show_run(runs[1], brief=True)
    shown = " ".join(capfd.readouterr().out.split())
    overall = f"{100 * correct / images:.2f}% of {images:,} images"
    assert f"Out of fold, over all folds: {overall}" in shown
    assert "validated on fold 2 of 3" in shown
    assert f"Series: cnn-tui runs --filter group={runs[0].id}" in shown
    listed = select_runs([read_summary(run) for run in runs], f"group={runs[0].id}")
    assert len(listed.runs) == 3
    # The same as text, and without the last fold.
    summaries = tuple(map(read_summary, runs))
    print_series(RunGroup(runs[0].id, summaries), tmp_path)
    assert f"Out of fold: {overall}" in capfd.readouterr().out
    print_series(RunGroup(runs[0].id, summaries[:2]), tmp_path)
    assert "unknown, as there is not one run for each of 3 folds, but for: 1, 2" in (
        capfd.readouterr().out
    )


def test_marks_that_change_meanwhile_do_not_count(tmp_path, run_cli, monkeypatch):
    """All runs of a series have the marks of the first one, so that they have the same images."""
    photos = tmp_path / "photos"
    make_photos(photos, per_class=20)
    names = [path.relative_to(photos).as_posix() for path in sorted(photos.glob("*/*"))]
    write_marks(photos, {names[0]: Marked("drop")})
    train = Series._train

    def train_and_mark(self, member, observer):
        code = train(self, member, observer)
        write_marks(photos, {name: Marked("drop") for name in names[:5]})
        return code

    monkeypatch.setattr(Series, "_train", train_and_mark)
    options = ["--repeat", 2, "--epochs", 1, *SET_SMALL, "--set", "data.image_size=16"]
    result = run_cli("run", "folder", "--data-dir", photos, *options, cwd=tmp_path)
    assert result.code == 0, result.errors
    states = [read_state(run)[0] for run in list_runs(tmp_path / "runs")]
    assert len({state.prepared.environment["marks"] for state in states}) == 1
    assert states[0].prepared.environment["marks"].startswith("1 dropped")


def test_folds_are_refused_where_they_make_no_sense(tmp_path, run_cli):
    command = ("run", "digits", "--folds", "2")
    for options, message in (
        (("--repeat", "2"), "--folds cannot be used with --repeat"),
        (("--like", "latest"), "--folds cannot be used with --like"),
        (("--set", "data.validation_fraction=0"), "data.folds: each is used for validation"),
    ):
        result = run_cli(*command, *options, "--runs-dir", tmp_path / "runs", cwd=tmp_path)
        assert result.code == 2
        assert message in result.errors
    assert list_runs(tmp_path / "runs") == []


def test_series_continues_after_a_failed_run_unless_stop_on_failure(tmp_path, run_series):
    options = ("--epochs", "1", "--sweep", "augment.cutout=30,0")  # images are 8 pixels wide
    result = run_series(tmp_path, *options)
    assert result.code == 2
    assert re.search(r"Run 1/2 .* failed: augment\.cutout: ", result.errors)
    assert re.search(r"Run 2/2 .* augment\.cutout=0 seed 0  test \d", result.errors)
    assert re.search(r"augment\.cutout=0 +1 +[\d.]+ % +[\d.]+ %", result.out)
    result = run_series(tmp_path / "other", *options, "--stop-on-failure")
    assert result.code == 2
    assert "Run 2/2" not in result.errors


def test_interrupt_stops_the_current_run_and_the_series(tmp_path):
    process = subprocess.Popen(
        [*CLI, *ENDLESS_RUN, "--repeat", "3", "--runs-dir", str(tmp_path)],
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_until(lambda: any(read_summary(run).epochs_done for run in list_runs(tmp_path)))
        os.kill(process.pid, signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    (run,) = list_runs(tmp_path)
    assert read_summary(run).status == "stopped"
    assert "stopped in run 1 of 3" in stderr
    assert f"cnn-tui resume group:{run.id}" in stderr


def test_time_limit_stops_the_series(tmp_path, run_series, monkeypatch):
    calls = iter(range(100_000))
    monkeypatch.setattr(Deadline, "is_due", lambda *_: next(calls) > 20)
    monkeypatch.setattr("cnn_engine.training.control.CHECK_SECONDS", 0.0)
    result = run_series(tmp_path, "--repeat", "3", "--time-limit", "1h")
    assert result.code == 124
    (run,) = list_runs(tmp_path)
    assert read_summary(run).status == "stopped"
    assert "stopped in run 1 of 3; 0 done. Resume with: cnn-tui resume group:" in result.errors


def test_all_configs_are_checked_before_training(tmp_path, run_series):
    result = run_series(tmp_path, "--sweep", "optimizer.lr=0.001,-1")
    assert result.code == 2
    assert "optimizer.lr: " in result.errors
    assert list_runs(tmp_path) == []


@pytest.mark.parametrize("sweep", ["optimizer.lr", "=1,2", "optimizer.lr="])
def test_invalid_sweep_is_reported(sweep):
    with pytest.raises(ConfigError, match="--sweep"):
        plan_series("digits", [], "", 1, [sweep])


def test_sweeps_are_combined_and_accept_words_and_lists():
    sweeps = ["optimizer.name=adam,sgd", "model.filters=[8],[8, 16]"]
    runs = plan_series("digits", [], "name", 1, sweeps).runs
    assert [(run.config["optimizer"]["name"], run.config["model"]["filters"]) for run in runs] == [
        ("adam", [8]),
        ("adam", [8, 16]),
        ("sgd", [8]),
        ("sgd", [8, 16]),
    ]
    assert runs[0].name == "name optimizer.name=adam model.filters=[8] seed 0"


def test_spread_of_one_value_has_no_deviation():
    assert Spread.from_values([0.5]) == Spread(0.5, None, 1)
    assert Spread.from_values([None, 0.5, 0.7]).runs == 2
    assert Spread.from_values([None]) is None


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("10m", 600), ("1h30m", 5400), ("1h5s", 3605)]
)
def test_parse_time_returns_seconds(text, seconds):
    assert parse_time(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "0", "m", "-5", "1.5h", "ten", "5d", "9" * 5000, "9" * 400 + "h"]
)
def test_parse_time_rejects_invalid_text(text):
    with pytest.raises(ConfigError, match="is not a time"):
        parse_time(text)
