"""Provenance of a run, and runs like it."""

import json
import os
import platform
import subprocess
from dataclasses import replace

import pytest

from cnn_engine.errors import ConfigError
from cnn_engine.runlog.events import Notice, RunPrepared
from cnn_engine.runs.directory import RunDirectory, create_run, list_runs
from cnn_engine.runs.recorder import Recorder
from cnn_engine.runs.summary import read_state, read_summary
from cnn_engine.session.background import start_in_background
from cnn_engine.session.engine import Engine
from cnn_engine.session.request import Request
from cnn_engine.system import git_revision
from cnn_engine.system.git_revision import Revision
from golden import golden_run, rewritten
from runs_for_tests import SMALL, RunForTests, wait_until
from terminal import cnn_tui


def git(where, *words):
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.com")
    result = subprocess.run(
        ["git", *identity, *words], cwd=where, check=True, capture_output=True, text=True
    )
    return result.stdout.strip()


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A repository of one commit, which is the working directory."""
    path = tmp_path / "repository"
    path.mkdir()
    git(path, "init", "-q")
    (path / "tracked").write_text("1")
    git(path, "add", "tracked")
    git(path, "commit", "-q", "-m", "one")
    monkeypatch.chdir(path)
    return path


def test_the_revision_and_whether_tracked_files_differ_from_it(repository):
    commit = git(repository, "rev-parse", "HEAD")[:12]
    (repository / "untracked").write_text("of no matter")
    assert Revision().text() == commit
    (repository / "tracked").write_text("2")
    assert Revision().text() == f"{commit} with changes"


def test_no_repository_no_commit_and_no_git_are_no_revision(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert Revision().text() == ""
    git(tmp_path, "init", "-q")
    assert "(initial)" in Revision().text()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert Revision().text() == ""


def test_a_git_that_takes_too_long_is_not_waited_for(repository, monkeypatch):
    (repository / "git").write_text("#!/bin/sh\nsleep 60\n")
    (repository / "git").chmod(0o700)
    monkeypatch.setenv("PATH", f"{repository}:{os.environ['PATH']}")
    monkeypatch.setattr(git_revision, "MAX_WAIT_SECONDS", 0.2)
    assert Revision().text() == ""


def test_a_program_that_a_repository_names_is_not_started(repository):
    program = repository / "program"
    program.write_text("#!/bin/sh\ntouch started\n")
    program.chmod(0o700)
    git(repository, "config", "core.fsmonitor", str(program))
    assert Revision().text()
    assert not (repository / "started").exists()


def test_a_run_records_its_environment(repository):
    run = RunForTests(repository / "runs", "train.epochs=1").train()
    prepared = run.live_state.prepared
    assert prepared.environment["Python"] == platform.python_version()
    assert prepared.environment["revision"] == git(repository, "rev-parse", "HEAD")[:12]
    assert {"cnn-tui", "PyTorch", "device", "precision", "threads", "images"} < {
        *prepared.environment
    }
    assert run.live_state.started.directory == str(repository)
    other = RunForTests(repository / "runs", "train.epochs=1", "train.seed=1").train()
    mine, theirs = prepared.environment, other.live_state.prepared.environment
    assert {name for name, value in mine.items() if theirs[name] != value} == {"images"}


def notices(run):
    return [event.text for event in run if isinstance(event, Notice)]


def repeat(run, runs_dir, *overrides):
    directory = create_run(runs_dir)
    engine = Engine(Request.from_run(run, overrides), Recorder(directory))
    engine.start()
    engine.join()
    return directory


def test_a_run_like_another_comes_to_the_same_figures(tmp_path):
    first = RunForTests(tmp_path, "train.epochs=2", "train.seed=5").train().directory
    again = repeat(first, tmp_path)
    (mine, _), (theirs, _) = read_state(first), read_state(again)
    assert theirs.started.like == first.id
    assert theirs.config == mine.config
    assert [e.val_loss for e in theirs.epochs] == [e.val_loss for e in mine.epochs]
    assert theirs.test.loss == mine.test.loss
    assert not theirs.notices


def test_a_run_like_another_says_what_is_not_as_it_was(tmp_path):
    first = RunForTests(tmp_path, "train.epochs=1").train().directory

    def change(event):
        if isinstance(event, RunPrepared):
            changed = {"PyTorch": "1.0", "revision": "0123456789ab"}
            return replace(event, environment=event.environment | changed)
        return event

    rewritten(first, change)
    state, _ = read_state(repeat(first, tmp_path, "optimizer.lr=0.002"))
    assert state.setting("optimizer.lr") == 0.002
    (notice,) = state.notices
    assert notice.text.startswith(f"Not exactly the environment of {first.id}: ")
    assert "PyTorch: " in notice.text
    assert ", before 1.0" in notice.text


def test_what_it_is_like_is_known_in_the_background_too(tmp_path):
    first = RunForTests(tmp_path, "train.epochs=1").train().directory
    rewritten(
        first,
        lambda event: (
            replace(event, environment=event.environment | {"images": "other"})
            if isinstance(event, RunPrepared)
            else event
        ),
    )
    second = create_run(tmp_path)
    start_in_background(Request.from_run(first), second)
    wait_until(lambda: read_summary(second).status == "done")
    state, _ = read_state(second)
    assert any("images: " in notice.text for notice in state.notices)


def test_an_old_run_without_a_record_of_this_can_be_repeated(tmp_path):
    request = Request.from_run(golden_run(tmp_path, "completed"), ["train.epochs=3"])
    assert (request.preset, request.config.train.epochs) == ("digits", 3)
    assert request.environment_of_like == {}


def test_a_run_that_tells_no_config_cannot_be_repeated(tmp_path):
    run = RunDirectory(tmp_path / "a")
    run.path.mkdir()
    run.events.write_text("garbage\n")
    with pytest.raises(ConfigError, match="run a: its log does not hold a config"):
        Request.from_run(run)


# The command.


def test_the_command_repeats_and_changes(tmp_path):
    small = [word for setting in SMALL for word in ("--set", setting)]
    one = cnn_tui(
        "run", "digits", "--no-ui", "--epochs", "1", "--name", "one", *small, cwd=tmp_path
    )
    assert one.returncode == 0
    (first,) = list_runs(tmp_path / "runs")
    started, _ = read_state(first)
    assert started.started.command[:3] == ("cnn-tui", "run", "digits")
    two = cnn_tui("run", "--like", "latest", "--seed", "3", "--no-ui", cwd=tmp_path)
    assert two.returncode == 0
    second = next(run for run in list_runs(tmp_path / "runs") if run.id != first.id)
    state, _ = read_state(second)
    assert (state.started.like, state.setting("train.seed")) == (first.id, 3)
    assert state.setting("model.filters") == [8]
    shown = cnn_tui("show", second.id, cwd=tmp_path).stdout
    assert "cnn-tui run --like latest --seed 3 --no-ui" in shown
    assert "PyTorch " in shown
    values = json.loads(cnn_tui("show", second.id, "--json", cwd=tmp_path).stdout)
    assert values["environment"]["Python"] == platform.python_version()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("digits", "--like", "latest"), "run: --like latest already names a config; remove d"),
        (("--like", "nope"), "not found in runs"),
        (("--like", "../x"), "not found in runs"),
        (
            ("--like", "latest", "--set", "train.epoch=3"),
            "unknown key; did you mean 'train.epochs'",
        ),
        (("digits", "--name", "a\x1b[2J"), r"name: contains the unprintable character '\x1b'"),
        (("digits", "--name", "x" * 300), "name: 300 characters; at most 80 are allowed"),
    ],
)
def test_what_cannot_be_repeated_or_named_so_is_a_usage_error(tmp_path, arguments, said):
    golden_run(tmp_path / "runs", "completed")
    result = cnn_tui("run", *arguments, "--no-ui", cwd=tmp_path)
    assert result.returncode == 2
    assert said in result.stderr
    assert len(list_runs(tmp_path / "runs")) == 1


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/b", ".", "CON", "[red]"])
def test_a_name_is_no_path(tmp_path, name):
    small = [word for setting in SMALL for word in ("--set", setting)]
    run = ("run", "digits", "--no-ui", "--epochs", "1", "--name", name)
    assert cnn_tui(*run, *small, cwd=tmp_path).returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]
    (made,) = list_runs(tmp_path / "runs")
    assert read_summary(made).name == name
