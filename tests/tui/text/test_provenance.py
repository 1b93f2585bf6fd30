"""Provenance of a run, and runs started with --like."""

import json
import os
import platform
import subprocess
from dataclasses import replace

import pytest

from cnn_engine.errors import ConfigError
from cnn_engine.runlog.events import RunPrepared
from cnn_engine.runs.directory import RunDirectory, create_run, list_runs
from cnn_engine.runs.recorder import Recorder
from cnn_engine.runs.summary import read_state, read_summary
from cnn_engine.session.background import start_in_background
from cnn_engine.session.engine import Engine
from cnn_engine.session.request import Request
from cnn_engine.system import git_revision
from cnn_engine.system.git_revision import Revision
from golden import golden_run, rewrite_events
from runs_for_tests import RunForTests, wait_until
from terminal import SET_SMALL


def git(directory, *arguments):
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.com")
    result = subprocess.run(
        ["git", *identity, *arguments], cwd=directory, check=True, capture_output=True, text=True
    )
    return result.stdout.strip()


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """Git repository with one commit, as the working directory."""
    path = tmp_path / "repository"
    path.mkdir()
    git(path, "init", "-q")
    (path / "tracked").write_text("1")
    git(path, "add", "tracked")
    git(path, "commit", "-q", "-m", "one")
    monkeypatch.chdir(path)
    return path


def test_revision_marks_changed_tracked_files(repository):
    commit = git(repository, "rev-parse", "HEAD")[:12]
    (repository / "untracked").write_text("ignored")
    assert Revision().text() == commit
    (repository / "tracked").write_text("2")
    assert Revision().text() == f"{commit} with changes"


def test_revision_is_empty_without_repository_or_git(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert Revision().text() == ""
    git(tmp_path, "init", "-q")
    assert "(initial)" in Revision().text()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert Revision().text() == ""


def test_revision_does_not_wait_for_a_slow_git(repository, monkeypatch):
    (repository / "git").write_text("#!/bin/sh\nsleep 60\n")
    (repository / "git").chmod(0o700)
    monkeypatch.setenv("PATH", f"{repository}:{os.environ['PATH']}")
    monkeypatch.setattr(git_revision, "MAX_WAIT_SECONDS", 0.2)
    assert Revision().text() == ""


def test_revision_starts_no_program_of_the_repository(repository):
    program = repository / "program"
    program.write_text("#!/bin/sh\ntouch started\n")
    program.chmod(0o700)
    git(repository, "config", "core.fsmonitor", str(program))
    assert Revision().text()
    assert not (repository / "started").exists()


def test_run_records_its_environment(repository):
    run = RunForTests(repository / "runs", "train.epochs=1").train()
    prepared = run.live_state.prepared
    assert prepared.environment["Python"] == platform.python_version()
    assert prepared.environment["revision"] == git(repository, "rev-parse", "HEAD")[:12]
    assert {"cnn-tui", "PyTorch", "device", "precision", "threads", "images"} < {
        *prepared.environment
    }
    assert run.live_state.started.directory == str(repository)
    other = RunForTests(repository / "runs", "train.epochs=1", "train.seed=1").train()
    first, second = prepared.environment, other.live_state.prepared.environment
    assert {name for name, value in first.items() if second[name] != value} == {"images"}


def repeat(run, runs_dir, *overrides):
    """Train a new run with the config of a run, and return its directory."""
    directory = create_run(runs_dir)
    engine = Engine(Request.from_run(run, overrides), Recorder(directory))
    engine.start()
    engine.join()
    return directory


def test_like_reproduces_losses(tmp_path):
    first = RunForTests(tmp_path, "train.epochs=2", "train.seed=5").train().directory
    again = repeat(first, tmp_path)
    (original, _), (repeated, _) = read_state(first), read_state(again)
    assert repeated.started.like == first.id
    assert repeated.config == original.config
    assert [epoch.val_loss for epoch in repeated.epochs] == [
        epoch.val_loss for epoch in original.epochs
    ]
    assert repeated.test.loss == original.test.loss
    assert not repeated.notices


def test_like_reports_environment_differences(tmp_path):
    first = RunForTests(tmp_path, "train.epochs=1").train().directory

    def change(event):
        if isinstance(event, RunPrepared):
            changed = {"PyTorch": "1.0", "revision": "0123456789ab"}
            return replace(event, environment=event.environment | changed)
        return event

    rewrite_events(first, change)
    state, _ = read_state(repeat(first, tmp_path, "optimizer.lr=0.002"))
    assert state.setting("optimizer.lr") == 0.002
    (notice,) = state.notices
    assert notice.text.startswith(f"Not exactly the environment of {first.id}: ")
    assert "PyTorch: " in notice.text
    assert ", before 1.0" in notice.text


def test_like_reports_differences_in_the_background(tmp_path):
    first = RunForTests(tmp_path, "train.epochs=1").train().directory
    rewrite_events(
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


def test_like_accepts_an_old_log_without_environment(tmp_path):
    request = Request.from_run(golden_run(tmp_path, "completed"), ["train.epochs=3"])
    assert (request.preset, request.config.train.epochs) == ("digits", 3)
    assert request.environment_of_like == {}


def test_like_is_refused_without_config(tmp_path):
    run = RunDirectory(tmp_path / "a")
    run.path.mkdir()
    run.events.write_text("garbage\n")
    with pytest.raises(ConfigError, match="run a: its log does not contain a config"):
        Request.from_run(run)


# The command line.


def test_run_like_with_changes(tmp_path, run_cli):
    run = ("run", "digits", "--no-ui", "--epochs", "1", *SET_SMALL)
    assert run_cli(*run, cwd=tmp_path)[0] == 0
    (first,) = list_runs(tmp_path / "runs")
    state, _ = read_state(first)
    assert state.started.command[:3] == ("cnn-tui", "run", "digits")
    like = ("run", "--like", "latest", "--seed", "3", "--no-ui")
    assert run_cli(*like, cwd=tmp_path)[0] == 0
    second = next(run for run in list_runs(tmp_path / "runs") if run.id != first.id)
    state, _ = read_state(second)
    assert (state.started.like, state.setting("train.seed")) == (first.id, 3)
    assert state.setting("model.filters") == [8]
    _, shown, _ = run_cli("show", second.id, cwd=tmp_path)
    assert "cnn-tui run --like latest --seed 3 --no-ui" in shown
    assert "PyTorch " in shown
    values = json.loads(run_cli("show", second.id, "--json", cwd=tmp_path)[1])
    assert values["environment"]["Python"] == platform.python_version()


@pytest.mark.parametrize(
    ("arguments", "message"),
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
def test_invalid_like_and_name_exit_with_2(tmp_path, run_cli, arguments, message):
    golden_run(tmp_path / "runs", "completed")
    code, _, errors = run_cli("run", *arguments, "--no-ui", cwd=tmp_path)
    assert code == 2
    assert message in errors
    assert len(list_runs(tmp_path / "runs")) == 1


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/b", ".", "CON", "[red]"])
def test_name_is_not_used_as_a_path(tmp_path, run_cli, name):
    run = ("run", "digits", "--no-ui", "--epochs", "1", "--name", name)
    assert run_cli(*run, *SET_SMALL, cwd=tmp_path)[0] == 0
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]
    (created,) = list_runs(tmp_path / "runs")
    assert read_summary(created).name == name
