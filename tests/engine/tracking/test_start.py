"""The start of a run: arguments, environment, resuming, and scripts written for W&B."""

import argparse
import copy
import dataclasses
import pickle
import re

import pytest

import cnn_tui
from cnn_engine.errors import ConfigError
from cnn_engine.runlog import events
from cnn_engine.runlog.log import LogReader
from cnn_engine.runs.directory import RunDirectory, list_runs
from cnn_engine.runs.marks import read_marks
from cnn_engine.runs.summary import read_state
from grammar import LOOP_LETTERS, LOOP_SESSIONS, event_letters
from recorded_loops import LoopForTests, recorded_loop
from runs_for_tests import events_of


@pytest.fixture(autouse=True)
def runs_dir(tmp_path, monkeypatch):
    """Let runs be in `runs` of an empty working directory."""
    monkeypatch.chdir(tmp_path)
    for variable in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "SLURM_PROCID", "CNN_TUI_RUN"):
        monkeypatch.delenv(variable, raising=False)
    yield tmp_path / "runs"
    cnn_tui.finish()


def state_of(run):
    return read_state(RunDirectory(run.path))[0]


WANDB_SCRIPT = """
import cnn_tui as wandb

wandb.init(project="cats", name="baseline", entity="me", tags=["a", "b, c"], notes="first",
           group="g", config={"lr": 0.1, "layers": [8, 16],
           "optimizer": {"name": "sgd", "momentum": 0.9}})
config = wandb.config
assert config.lr == config["lr"] == wandb.run.config.lr == 0.1
config.update({"epochs": 2}, allow_val_change=True)
config.batch_size = 64
for epoch in range(config.epochs):
    for batch in range(3):
        wandb.log({"train": {"loss": config.lr / (1 + batch)}}, commit=True)
    wandb.log({"epoch": epoch, "val/loss": 0.1, "val/acc": 50.0 + epoch}, commit=False)
wandb.run.summary["best_acc"] = 51.0
wandb.summary.update({"best_epoch": 2})
assert wandb.run.name == "baseline"
wandb.run.name = "renamed"
wandb.finish()
"""


def test_script_for_wandb_runs_with_another_import(runs_dir, capsys):
    exec(WANDB_SCRIPT, {})  # noqa: S102
    (run,) = list_runs(runs_dir)
    state, damaged = read_state(run)
    assert not damaged
    assert (state.status, state.preset, state.started.name) == ("done", "cats", "baseline")
    assert state.config == {
        "config": {
            "lr": 0.1,
            "layers": [8, 16],
            "optimizer.name": "sgd",
            "optimizer.momentum": 0.9,
            "epochs": 2,
            "batch_size": 64,
        }
    }
    assert [(epoch.epoch, epoch.val_accuracy) for epoch in state.epochs] == [(1, 0.5), (2, 0.51)]
    assert (state.steps_done, state.steps_per_epoch) == (6, 3)
    assert (state.series["best_acc"].last, state.series["best_epoch"].last) == (51, 2)
    marks = read_marks(run)
    assert (marks.name, marks.tags, marks.note) == ("renamed", ("a", "b-c"), "first")
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "cnn-tui: init ignores entity, group",
        f"cnn-tui: run baseline; watch it with: cnn-tui watch {run.id}",
    ]


@dataclasses.dataclass
class Settings:
    lr: float = 0.1
    name: str = "x"


@pytest.mark.parametrize(
    ("config", "stored"),
    [
        ({"a": 1}, {"a": 1}),
        (argparse.Namespace(lr=0.1, name="x"), {"lr": 0.1, "name": "x"}),
        (Settings(), {"lr": 0.1, "name": "x"}),
        ("settings.yaml", {"config": "settings.yaml"}),
        ({"a": float("nan"), "b": 10**30, "c": {1: ()}}, {"a": "nan", "b": str(10**30), "c.1": []}),
        ({"a": {"b": {"c": [1, {2}]}}}, {"a.b.c": [1, "{2}"]}),
    ],
)
def test_configs_of_all_kinds_are_stored(config, stored):
    run = cnn_tui.init(config=config)
    assert state_of(run).config == {"config": stored}


def test_config_and_summary_are_pickled_as_dictionaries():
    """Checkpoints contain them."""
    run = cnn_tui.init(config={"lr": 0.1})
    run.summary["best"] = 0.9
    for values, plain in ((run.config, {"lr": 0.1}), (run.summary, {"best": 0.9})):
        loaded = pickle.loads(pickle.dumps(values))
        assert (type(loaded), loaded) == (dict, plain)
        assert copy.deepcopy(values) == plain


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_copied_config_has_attributes_of_its_own(copied):
    run = cnn_tui.init(config={"lr": 0.1})
    config = copied(run.config)
    config.lr = 0.2
    assert (config.lr, run.config.lr) == (0.2, 0.1)
    run.finish()
    assert state_of(run).config == {"config": {"lr": 0.1}}


def test_missing_keys_of_a_config_are_set():
    run = cnn_tui.init(config={"lr": 0.1})
    run.config.setdefaults({"lr": 0.2, "epochs": 3})
    run.finish()
    assert state_of(run).config == {"config": {"lr": 0.1, "epochs": 3}}


def test_init_ends_the_run_before():
    first = cnn_tui.init()
    second = cnn_tui.init()
    assert cnn_tui.run is second
    assert state_of(first).status == "done"
    assert state_of(second).status == "training"


def test_calls_before_init_record_nothing_and_warn_once(runs_dir, capsys, monkeypatch):
    monkeypatch.setattr("cnn_engine.tracking.current._run", None)
    monkeypatch.setattr("cnn_engine.tracking.current.NO_RUN._warned", set())
    assert cnn_tui.run is None
    for _ in range(2):
        cnn_tui.log({"loss": 1})
        assert list(cnn_tui.steps("ab")) == ["a", "b"]
        assert list(cnn_tui.epochs(2)) == [0, 1]
        assert not cnn_tui.should_stop
        assert not cnn_tui.should_save
        cnn_tui.control(None)
        cnn_tui.classes(["a"])
        cnn_tui.validated([0], [0])
        cnn_tui.saved("x")
        cnn_tui.finish()
    assert capsys.readouterr().err.count("call cnn_tui.init() first") == 1
    assert not runs_dir.exists()


@pytest.mark.parametrize("how", ["argument", "environment", "rank"])
def test_nothing_is_recorded_if_disabled_or_on_other_ranks(runs_dir, monkeypatch, how):
    if how == "environment":
        monkeypatch.setenv("CNN_TUI_MODE", "disabled")
    if how == "rank":
        monkeypatch.setenv("RANK", "1")
        monkeypatch.setenv("WORLD_SIZE", "2")
    run = cnn_tui.init(mode="disabled" if how == "argument" else None, config={"lr": 0.1}, epochs=2)
    with run:
        for _ in run.epochs():
            for _ in run.steps([1, 2]):
                run.log({"loss": 1})
        assert not run.should_stop
        assert run.step == 4
        assert run.config.lr == 0.1
    assert not runs_dir.exists()


def test_other_ranks_do_not_mind_the_directory_that_rank_0_has_made(runs_dir, monkeypatch):
    directory = cnn_tui.init(id="shared").path
    monkeypatch.setenv("RANK", "1")
    assert cnn_tui.init(id="shared").path is None
    assert list(runs_dir.iterdir()) == [directory]


def test_loop_may_change_its_working_directory(runs_dir, tmp_path, monkeypatch):
    with cnn_tui.init() as run:
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        run.name = "moved"
        run.log({"loss": 1})
    (directory,) = list_runs(runs_dir)
    assert read_marks(directory).name == "moved"
    assert read_state(directory)[0].status == "done"


def test_environment_names_directory_and_run(tmp_path, monkeypatch):
    monkeypatch.setenv("CNN_TUI_RUNS_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("CNN_TUI_RUN", "job-17")
    first = cnn_tui.init()
    first.log({"loss": 1})
    assert first.path == tmp_path / "elsewhere" / "job-17"
    second = cnn_tui.init()  # as after a restart of the job
    assert second.path == first.path
    assert state_of(second).resumed is not None


def test_directory_that_cannot_be_written_is_reported_and_the_loop_goes_on(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    run = cnn_tui.init(runs_dir=tmp_path / "file")
    run.log({"loss": 1})
    run.finish()
    assert run.path is None
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(
        "cannot create a run here: File exists; nothing is recorded: name another directory with "
        "CNN_TUI_RUNS_DIR or runs_dir="
    )


def test_resumed_run_goes_on_where_it_was(runs_dir):
    directory = recorded_loop(runs_dir, 2, name="mine")
    loop = LoopForTests(runs_dir, resume=directory.id)
    assert loop.run.step == 20
    epochs = []
    for epoch in loop.run.epochs(4):
        epochs.append(epoch)
        for _ in loop.run.steps(range(10)):
            loop.run.log({"train/loss": 0.1})
        loop.run.log({"val/loss": 0.1, "epoch": epoch})
    loop.finish()
    assert epochs == [2, 3]
    state, damaged = read_state(directory)
    assert not damaged
    assert [epoch.epoch for epoch in state.epochs] == [1, 2, 3, 4]
    assert (state.steps_done, state.status, state.total_epochs) == (40, "done", 4)
    assert state.series["val/loss"].curve.steps.tolist() == [10, 20, 30, 40]
    (resumed,) = events_of(directory, events.RunResumed)
    assert (resumed.epoch, resumed.step) == (3, 0)
    assert state.finished.seconds > resumed.seconds


@pytest.mark.parametrize("step", [None, 17])
def test_pass_that_was_interrupted_is_repeated_unless_the_loop_gives_its_steps(runs_dir, step):
    loop = LoopForTests(runs_dir, epochs=3)
    for steps in (10, 4):
        for _ in loop.run.steps(range(steps)):
            loop.run.log({"train/loss": 0.5})
    loop.kill()
    resumed = LoopForTests(runs_dir, resume="latest")
    assert resumed.run.step == 10
    resumed.run.log({"train/loss": 0.4}, step=step)
    state, damaged = read_state(resumed.finish())
    assert (state.steps_done, damaged) == (step or 11, 0)
    assert state.curve.steps.tolist() == [10, step or 11]


def test_run_of_unknown_epochs_that_was_killed_keeps_its_steps(runs_dir):
    loop = LoopForTests(runs_dir)
    for _ in range(14):
        loop.run.log({"train/loss": 0.5})
    loop.kill()
    assert LoopForTests(runs_dir, resume="latest").run.step == 14


@pytest.mark.parametrize("key", ["epochs", "max_epochs", "num_train_epochs"])
def test_planned_epochs_are_those_of_the_config(runs_dir, key):
    loop = LoopForTests(runs_dir, config={key: 12})
    assert read_state(loop.finish())[0].total_epochs == 12


def test_epoch_that_was_interrupted_is_repeated(runs_dir):
    loop = LoopForTests(runs_dir).train_epochs(2)
    for _ in loop.run.epochs(5):
        for step in loop.run.steps(range(10)):
            loop.run.log({"train/loss": 9.0})
            if step == 5:
                break
        break
    loop.kill()
    loop = LoopForTests(runs_dir, resume="latest")
    assert loop.run.step == 20
    loop.train_epochs(5)
    state, damaged = read_state(loop.finish())
    assert not damaged
    assert [epoch.epoch for epoch in state.epochs] == [1, 2, 3, 4, 5]
    assert (state.steps_done, state.end_of(state.epochs[-1])) == (50, 50)
    assert state.curve.steps.tolist() == [10, 20, 30, 40, 50]
    assert max(state.curve.highs) < 9


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"resume": "nope"}, "run 'nope': not found"),
        ({"resume": "must", "id": "nope"}, "run 'nope' does not exist"),
        ({"id": "../x"}, "id '../x': only letters"),
        ({"id": "mine"}, "run 'mine' exists already; to continue it: init"),
        ({"id": "mine", "resume": "never"}, "run 'mine' exists already"),
        ({"roles": {"loss": "x"}}, "roles: loss is none of train_loss"),
        ({"roles": 5}, "roles: a dictionary is expected"),
        ({"roles": {"val_loss": 5}}, "roles: a dictionary is expected"),
        ({"classes": "cat"}, "classes: a list of names is expected, not 'cat'"),
        ({"classes": 5}, "classes: a list of names is expected, not 5"),
        ({"tags": 5}, "tags: a list of names is expected, not 5"),
        ({"steps_per_epoch": "x"}, "steps_per_epoch: a whole number from 0 is expected, not 'x'"),
        ({"epochs": 2.5}, "epochs: a whole number from 0 is expected, not 2.5"),
        ({"epochs": float("nan")}, "epochs: a whole number from 0 is expected, not nan"),
        ({"epochs": -1}, "epochs: a whole number from 0 is expected, not -1"),
        ({"mode": "banana"}, "mode: 'banana' is none of disabled, online, offline, shared"),
        ({"runs_dir": "a\0b"}, r"runs_dir: 'a\\x00b' is no path of a directory"),
        ({"runs_dir": 5}, "runs_dir: 5 is no path of a directory"),
    ],
)
def test_wrong_arguments_of_init_raise(arguments, error):
    cnn_tui.init(id="mine").finish()
    with pytest.raises(ConfigError, match=error):
        cnn_tui.init(**arguments)


def test_run_that_another_process_holds_is_not_recorded_twice(runs_dir, capsys):
    loop = LoopForTests(runs_dir)
    other = cnn_tui.init(resume=loop.run.id)
    assert other.path is None
    assert "nothing is recorded" in capsys.readouterr().err
    loop.finish()


def test_chosen_roles_replace_guessed_ones(runs_dir):
    loop = LoopForTests(runs_dir, roles={"train_loss": "d_loss", "val_loss": "fid"})
    for _ in range(2):
        loop.run.log({"d_loss": 1.0, "g_loss": 2.0})
        loop.run.log({"fid": 30.0})
    state, _ = read_state(loop.finish())
    assert [(epoch.train_loss, epoch.val_loss) for epoch in state.epochs] == [(1.0, 30.0)] * 2


def test_none_means_that_nothing_is_given():
    arguments = (
        "config",
        "epochs",
        "classes",
        "roles",
        "tags",
        "notes",
        "mode",
        "framework",
        "dir",
    )
    run = cnn_tui.init(**dict.fromkeys(arguments))
    run.log({"loss": 1})
    run.finish()
    assert state_of(run).status == "done"


def test_role_of_a_series_that_never_comes_is_reported(runs_dir):
    loop = LoopForTests(runs_dir, roles={"train_loss": "loss", "val_loss": "vla/loss"})
    loop.run.log({"loss": 1.0})
    state, _ = read_state(loop.finish())
    assert [notice.text for notice in state.notices] == [
        "roles: no series 'vla/loss' was logged for val_loss"
    ]


def test_unclear_role_is_reported(runs_dir):
    loop = LoopForTests(runs_dir)
    loop.run.log({"d_loss": 1.0, "g_loss": 2.0})
    state, _ = read_state(loop.finish())
    assert [notice.text for notice in state.notices] == [
        "Not clear which series is the training loss: d_loss, g_loss; choose with "
        "init(roles={'train_loss': NAME})"
    ]


def test_validated_classes_become_counts_and_a_confusion_matrix(runs_dir):
    loop = LoopForTests(runs_dir)
    loop.run.classes(["cat", "dog", "frog\x1b"])
    for _ in loop.run.epochs(1):
        loop.run.log({"loss": 1.0})
        loop.run.validated(["cat", "dog", "dog", "cat"], ["cat", "dog", "cat", "cat"])
    state, _ = read_state(loop.finish())
    (epoch,) = state.epochs
    assert state.classes == ("cat", "dog", "frog�")
    assert (epoch.correct, epoch.total, epoch.confusion) == ((2, 1, 0), (2, 2, 0), ((1, 0, 1),))
    assert epoch.val_accuracy == 0.75


def test_interface_is_complete():
    for name in cnn_tui.__all__:
        assert hasattr(cnn_tui, name)
    with pytest.raises(AttributeError, match="no attribute 'inti'"):
        _ = cnn_tui.inti
    with pytest.raises(AttributeError, match="no attribute 'lgo'"):
        _ = cnn_tui.Run.lgo


def test_functions_are_looked_up_once_and_the_current_run_each_time():
    assert cnn_tui.log is vars(cnn_tui)["log"]
    assert cnn_tui.init() is cnn_tui.run
    assert cnn_tui.init() is cnn_tui.run
    assert not vars(cnn_tui).keys() & {"run", "config", "summary", "should_stop", "should_save"}


def test_names_of_wandb_without_a_counterpart_are_reported_once(runs_dir, capsys):
    """A script with images and `watch` goes on (`import cnn_tui as wandb`)."""
    cnn_tui.login()
    run = cnn_tui.init(project="images", runs_dir=runs_dir)
    run.watch(object(), log="all")
    for _ in range(2):
        cnn_tui.define_metric("val/*", step_metric="epoch")
        cnn_tui.log({"loss": 1.0, "examples": cnn_tui.Image(b"", caption="a cat")})
    cnn_tui.finish()
    (recorded,) = list_runs(runs_dir)
    state, _ = read_state(recorded)
    assert [*state.series] == ["loss"]
    texts = [notice.text for notice in state.notices]
    for name in ("watch", "define_metric", "Image"):
        assert texts.count(f"{name} has no counterpart here, and is ignored") == 1
    assert "login has no counterpart here" in capsys.readouterr().err


def test_uses_of_wandb_without_a_counterpart_go_on(runs_dir):
    wandb = cnn_tui
    run = wandb.init(runs_dir=runs_dir)
    table = wandb.Table(columns=["a"])
    table.add_data(1)
    artifact = wandb.Artifact("model", type="model")
    with artifact.new_file("x") as file:
        file.write("x")
    run.log_artifact(artifact).wait()
    matrix = wandb.plot.confusion_matrix(y_true=[0], preds=[0], class_names=["a"])
    wandb.log(
        data={"loss": 1.0, "table": table, "plot": matrix, "nested": {"table": table}}, step=3
    )
    assert [*wandb.Api().runs("project")] == []
    assert f"{run.url}{run.get_url()}{run.entity}{table}" == ""
    assert run.dir == str(run.path)
    wandb.finish()
    state, _ = read_state(list_runs(runs_dir)[0])
    assert ([*state.series], state.steps_done) == (["loss"], 3)
    assert not [notice.text for notice in state.notices if "is not recorded" in notice.text]


def test_order_of_events(runs_dir):
    run = recorded_loop(runs_dir, 2)
    logged = list(LogReader(run.events).poll())
    letters = event_letters(logged, LOOP_LETTERS)
    assert re.fullmatch(r"RD+((D?sa)+a?D?F){2}D*\.", letters)
    LoopForTests(runs_dir, resume=run.id).finish()
    assert LOOP_SESSIONS.fullmatch(event_letters(LogReader(run.events).poll(), LOOP_LETTERS))
