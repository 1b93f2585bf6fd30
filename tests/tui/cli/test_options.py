"""Options and arguments that several commands share."""

import json

import pytest

from cnn_engine.runs.recorder import Recorder
from golden import golden_run, running_run, set_local_host


def started_at(run, time):
    """Set the time of a run's first event, and return the run."""
    first, *rest = run.events.read_text().splitlines()
    run.events.write_text("\n".join([json.dumps(json.loads(first) | {"time": time}), *rest]) + "\n")
    return run


@pytest.fixture
def runs_dir(tmp_path):
    """Return the default directory of runs with an older run and a newer one, without models."""
    for time, run_id in enumerate(("1124-0412-amber", "1125-0100-teal"), start=1000):
        started_at(golden_run(tmp_path / "runs", "completed", run_id), float(time))
    return tmp_path / "runs"


@pytest.mark.parametrize(
    "reference",
    [
        "1124-0412-amber",
        "runs/1124-0412-amber",
        "./runs/1124-0412-amber/",
        "runs/x/../1124-0412-amber",
    ],
)
def test_run_is_named_by_the_path_of_its_directory(runs_dir, run_cli, reference):
    """Completion of the shell writes paths of run directories."""
    code, out, errors = run_cli("show", reference, "--json", cwd=runs_dir.parent)
    assert (code, errors) == (0, "")
    assert json.loads(out)["run_id"] == "1124-0412-amber"


def test_run_is_found_from_within_its_directory(runs_dir, run_cli):
    code, out, _ = run_cli("show", ".", "--json", cwd=runs_dir / "1124-0412-amber")
    assert code == 0
    assert json.loads(out)["run_id"] == "1124-0412-amber"


@pytest.mark.parametrize(
    "command",
    [
        "predict latest .",
        "test",
        "test latest",
        "export latest --to onnx",
        "export latest --to safetensors",
    ],
)
def test_latest_is_the_latest_run_with_a_model(runs_dir, run_cli, command):
    """A newer run that failed before its first epoch has no model to use."""
    (runs_dir / "1124-0412-amber/best.pt").write_text("not a checkpoint")
    code, _, errors = run_cli(*command.split(), cwd=runs_dir.parent)
    assert code != 0
    first, *problem = errors.splitlines()
    assert first == "Using 1124-0412-amber, the latest run with a model, not 1125-0100-teal"
    assert "1125" not in "".join(problem)


@pytest.mark.parametrize("command", ["test", "export latest --to onnx"])
def test_latest_without_any_model_says_what_is_missing(runs_dir, run_cli, command):
    code, _, errors = run_cli(*command.split(), cwd=runs_dir.parent)
    assert (code, errors) == (
        2,
        "cnn-tui: run 1125-0100-teal: has no model yet; one is saved after its first epoch\n",
    )


def test_latest_run_is_exported_as_results_without_a_model(runs_dir, run_cli):
    (runs_dir / "1124-0412-amber/best.pt").write_text("")
    code, out, errors = run_cli("export", "latest", "--to", "csv", cwd=runs_dir.parent)
    assert (code, out, errors) == (0, "1125-0100-teal.csv\n", "")


def test_controls_of_latest_are_of_the_latest_running_run(runs_dir, run_cli, monkeypatch):
    """A run that failed to start must not catch `stop latest` while an older one trains."""
    run = set_local_host(running_run(runs_dir, 30, "1124-0000-oak"))
    with Recorder(started_at(run, 900.0)):
        code, out, errors = run_cli("unpause", "latest", cwd=runs_dir.parent)
    assert (code, out) == (0, "1124-0000-oak: not paused\n")
    assert errors == "Using 1124-0000-oak, the latest run that is running, not 1125-0100-teal\n"


def test_home_directory_is_expanded_in_paths(runs_dir, run_cli, monkeypatch):
    """Shells expand `~` neither in quotes nor in `--output=~/x` (pallets/click#287)."""
    home = runs_dir.parent
    monkeypatch.setenv("HOME", str(home))
    (home / "elsewhere").mkdir()
    (home / "log.csv").write_text("loss\n2\n1\n")
    for words in (
        ("import", "~/log.csv", "--runs-dir=~/imported"),
        ("export", "latest", "--to", "csv", "--output=~/out.csv", "--runs-dir", "~/runs"),
        ("--runs-dir", "~/runs", "show", "amber"),
    ):
        code, _, errors = run_cli(*words, cwd=home / "elsewhere")
        assert code == 0, errors
    assert len(list((home / "imported").iterdir())) == 1
    assert (home / "out.csv").is_file()
    assert not list((home / "elsewhere").iterdir())
    code, _, errors = run_cli("show", "~/runs/1124-0412-amber", cwd=home / "elsewhere")
    assert code == 0, errors
