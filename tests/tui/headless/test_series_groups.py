"""A series as one: stopped, resumed, listed, compared and shown in the browser."""

import functools
import json
import signal
from types import SimpleNamespace

import pytest

from cnn_engine.errors import ConfigError, DataError, RunHeldError
from cnn_engine.notifications.targets import NO_TARGETS
from cnn_engine.results.student import welch_p_value
from cnn_engine.runs.directory import list_runs
from cnn_engine.runs.groups import read_group, series_name
from cnn_engine.runs.series import is_trained, lock_series, request_series_stop
from cnn_engine.runs.series_plan import FILE_NAME, read_plan
from cnn_engine.runs.summary import read_state, read_summary
from cnn_engine.session.series import resume_series, start_series
from cnn_tui.dashboard.app import Dashboard
from cnn_tui.dashboard.screens.compare import CompareScreen
from cnn_tui.dashboard.screens.runs import RunsScreen
from cnn_tui.headless.series import plan_series
from photos_for_tests import make_photos
from pilot import press, screen_text, wait_for_text
from runs_for_tests import SMALL, RunForTests

SWEEP = "optimizer.lr=0.001,0.003"


class Watcher:
    """Waits for each engine; calls a function before the run with a number."""

    def __init__(self, number=0, action=lambda _: None):
        self.number, self.action = number, action
        self.trained, self.texts = [], []

    def follow(self, member, _run, engine):
        self.trained.append(member.number)
        if member.number == self.number:
            self.action(engine)
        engine.join()

    def ended(self, member):
        pass

    def report(self, text):
        self.texts.append(text)


def plan(**options):
    settings = [*SMALL, "train.epochs=1"]
    values = {"repeat": 2, "sweeps": [SWEEP], "folds": None} | options
    return plan_series("digits", settings, "try", **values)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A series of two learning rates with two seeds each, that was stopped in its second run."""
    runs_dir = tmp_path_factory.mktemp("series")
    series = start_series(plan(), runs_dir, NO_TARGETS)
    watcher = Watcher(2, lambda _: series.request_stop(signal.SIGTERM))
    code = series.train(watcher)
    stopped = read_group(runs_dir, series.id)
    again = Watcher()
    resumed = resume_series(series.first, NO_TARGETS)
    with pytest.raises(RunHeldError, match="another process is training it"):
        resume_series(series.first, NO_TARGETS)
    found = SimpleNamespace(runs_dir=runs_dir, first=series.first, stopped=stopped, code=code)
    found.texts, found.code_again = watcher.texts, resumed.train(again)
    found.trained, found.again = watcher.trained, again.trained
    found.group = read_group(runs_dir, series.id)
    return found


def test_resume_trains_what_is_missing(trained):
    assert (trained.code, trained.code_again) == (143, 0)
    assert trained.trained == [1, 2]
    assert trained.again == [2, 3, 4]
    assert (trained.stopped.done, trained.stopped.planned) == (1, 4)
    assert trained.stopped.status == "incomplete"
    assert f"resume group:{trained.first.id}" in trained.texts[-1]
    assert (trained.group.status, len(trained.group.runs)) == ("done", 4)
    assert [run.member for run in trained.group.runs] == [1, 2, 3, 4]
    assert not is_trained(trained.first)
    with pytest.raises(ConfigError, match="all its 4 runs are done"):
        resume_series(trained.first, NO_TARGETS)


def test_group_has_settings_name_and_spreads(trained):
    group = trained.group
    assert group.name == "try"
    assert group.swept == "optimizer.lr 0.001, 0.003; 2 seeds"
    assert [setting.text for setting in group.settings] == [
        "optimizer.lr=0.001",
        "optimizer.lr=0.003",
    ]
    means = [setting.spread("test_accuracy").mean for setting in group.settings]
    assert group.best("test_accuracy").mean == max(means) == group.summary.test_accuracy
    assert all(setting.spread("test_accuracy").runs == 2 for setting in group.settings)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("seed 3", ""),
        ("try seed 3", "try"),
        ("my run fold 2/5", "my run"),
        ("optimizer.lr=0.003 seed 1", ""),
        ("a b model.filters=[8, 16] fold 1/2", "a b"),
        ("alone", "alone"),
    ],
)
def test_name_of_a_series_is_that_of_its_runs_without_their_setting(name, expected):
    assert series_name(name) == expected


def test_early_series_without_plan_is_grouped_but_not_resumed(trained, tmp_path):
    run = RunForTests(tmp_path, "train.epochs=1")
    group = trained.group
    early = [
        type(each)(**{**vars(each), "member": 0, "members": 0, "setting": ""})
        for each in group.runs
    ]
    old = type(group)(group.id, tuple(early))
    assert [setting.text for setting in old.settings] == [
        "optimizer.lr=0.001",
        "optimizer.lr=0.003",
    ]
    with pytest.raises(DataError, match=r"series\.json: is missing"):
        read_plan(run.directory)
    (run.directory.path / FILE_NAME).write_text("{")
    with pytest.raises(DataError, match="is damaged"):
        read_plan(run.directory)
    run.recorder.close()


@pytest.fixture
def cli(run_cli, tmp_path):
    """Function that executes a command in an empty directory."""
    return functools.partial(run_cli, cwd=tmp_path)


def test_commands_know_groups(trained, cli):
    options = ("--runs-dir", trained.runs_dir)
    listed = json.loads(cli("runs", "--groups", "--json", *options).out)
    assert [(each["group"], each["done"], each["planned"]) for each in listed] == [
        (trained.first.id, 4, 4)
    ]
    assert "optimizer.lr 0.001, 0.003; 2 seeds" in cli("runs", "--groups", *options).out
    for reference in ("try", f"group:{trained.first.id}", f"group:{trained.group.runs[2].run_id}"):
        shown = cli("show", reference, *options).out
        assert "done: 4 of 4 runs done" in shown
    single = cli("show", f"run:{trained.first.id}", "--json", *options)
    assert json.loads(single.out)["run_id"] == trained.first.id
    compared = json.loads(cli("compare", trained.first.id, "--json", *options).out)
    assert [each["test_accuracy"]["runs"] for each in compared["runs"]] == [2, 2]
    (test,) = compared["tests"]
    assert (test["test"], test["runs"]) == ("Welch's t-test of the test accuracies", [2, 2])
    assert 0 <= test["p_adjusted"] <= 1
    one_each = cli("compare", *(run.run_id for run in trained.group.runs[:2]), *options)
    assert "McNemar" in one_each.out or "exactly the same images" in one_each.out
    watched = cli("watch", "try", "--no-ui", *options)
    assert (watched.code, "optimizer.lr=0.003" in watched.out) == (0, True)
    stopped = cli("stop", "try", *options)
    assert stopped.code == 2
    assert "is not running" in stopped.errors
    unknown = cli("show", "group:nothing", *options)
    assert (unknown.code, "not found" in unknown.errors) == (2, True)


async def test_browser_folds_a_series_and_compares_it(trained):
    app = Dashboard(RunsScreen(trained.runs_dir))
    async with app.run_test(size=(120, 36)) as pilot:
        await wait_for_text(pilot, "4/4 runs")
        assert len(app.screen.rows.rows) == 1
        assert "optimizer.lr=0.003" in screen_text(app)  # the details
        await press(pilot, "enter")
        assert [row.is_member for row in app.screen.rows.rows] == [False, *[True] * 4]
        await press(pilot, "down", "down", "left")
        assert len(app.screen.rows.rows) == 1
        await press(pilot, "space")
        assert len(app.screen.rows.selected) == 4
        await press(pilot, "c")
        assert isinstance(app.screen, CompareScreen)
        await wait_for_text(pilot, "Welch's t-test")
        assert "A try lr=0.001" in screen_text(app)


def test_stop_request_ends_the_series_after_the_run(tmp_path):
    series = start_series(plan(sweeps=[], repeat=3), tmp_path, NO_TARGETS)
    watcher = Watcher(1, lambda _: request_series_stop(series.first))
    assert series.train(watcher) == 0
    assert len(list_runs(tmp_path)) == 1
    assert "stopped in run 1 of 3; 1 done" in watcher.texts[-1]
    assert read_summary(series.first).status == "done"


def test_detached_folds_are_trained_by_one_process_and_compared_by_image(tmp_path, cli):
    options = ("--runs-dir", tmp_path)
    settings = [word for setting in (*SMALL, "train.epochs=1") for word in ("--set", setting)]
    for seed in (0, 1):
        result = cli("run", "digits", *settings, "--folds", 2, "--seed", seed, "--detach",
                         "--no-ui", "--name", f"s{seed}", *options)  # fmt: skip
        assert result.code == 0, result.errors
        assert cli("watch", f"s{seed}", "--no-ui", *options).code == 0
    states = [read_state(run)[0] for run in list_runs(tmp_path)]
    assert {state.started.members for state in states} == {2}
    compared = json.loads(cli("compare", "s0", "s1", "--json", *options).out)
    (test,) = compared["tests"]
    assert test["test"] == "McNemar's exact test of the predictions out of fold"


def test_more_folds_than_images_are_refused_before_a_run_exists(tmp_path, cli):
    make_photos(tmp_path / "photos", per_class=3)
    data = ("--data-dir", tmp_path / "photos")
    result = cli("run", "folder", *data, "--folds", 500)
    assert result.code == 3
    assert "training images are too few for data.folds = 500" in result.errors
    assert not (tmp_path / "runs").exists()


def test_lock_of_a_series_is_exclusive(tmp_path):
    series = start_series(plan(), tmp_path, NO_TARGETS)
    assert is_trained(series.first)
    with pytest.raises(RunHeldError):
        lock_series(series.first)
    series.close()
    assert not is_trained(series.first)


def test_welch_p_values():
    # By hand: t = -1.4924, 2.617 degrees of freedom; and Student's 12.706 for one degree.
    assert welch_p_value([1, 2, 3], [2, 4, 7]) == pytest.approx(0.2451, abs=1e-4)
    with pytest.raises(ValueError, match="deviation"):
        welch_p_value([1, 1], [2, 2])
