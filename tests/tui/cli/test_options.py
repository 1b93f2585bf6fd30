"""Options and arguments that several commands share."""

import json
import shutil

import pytest

from cnn_engine.runs.recorder import Recorder
from golden import golden_run, running_run, set_local_host


def started_at(run, time):
    """Set the time of a run's first event, and return the run."""
    first, *rest = run.events.read_text().splitlines()
    run.events.write_text("\n".join([json.dumps(json.loads(first) | {"time": time}), *rest]) + "\n")
    return run


READING = (
    "|runs|show|show --json|watch|watch --no-ui|resume|pause|stop|compare a b|mark|delete a|trash|"
    "trash empty|trash restore a|"
    "export a --to csv|test|predict a b.png|explain|run --like a|run digits"
).split("|")


@pytest.mark.parametrize("command", READING)
def test_file_in_place_of_the_directory_of_runs_is_named(tmp_path, run_cli, command):
    (tmp_path / "mk.py").write_text("")
    for words in (
        ["--runs-dir", "mk.py", *command.split()],
        [*command.split(), "--runs-dir=mk.py"],
    ):
        assert run_cli(*words, cwd=tmp_path) == (
            5,
            "",
            "cnn-tui: mk.py: is not a directory; name one with --runs-dir DIR\n",
        )


def test_file_in_place_of_the_default_directory_of_runs_is_named(tmp_path, run_cli):
    (tmp_path / "runs").write_text("")
    code, _, errors = run_cli("runs", cwd=tmp_path)
    assert (code, errors.count("\n")) == (5, 1)
    assert errors.startswith("cnn-tui: runs: is not a directory;")


@pytest.mark.parametrize(
    "command", ["runs", "show", "watch", "pause a", "test", "export a --to csv"]
)
def test_missing_directory_of_runs_gets_a_hint_with_its_name(tmp_path, run_cli, command):
    code, out, errors = run_cli(*command.split(), "--runs-dir", "rm 1", cwd=tmp_path)
    assert (code, out) == (0 if command == "runs" else 2, "")
    assert "o runs " in errors
    assert "import cnn_tui" in errors
    assert errors.endswith(": cnn-tui run --runs-dir 'rm 1'\n")


def test_run_that_is_not_found_gets_the_listing_of_its_directory(tmp_path, run_cli):
    golden_run(tmp_path / "rm", "completed")
    _, _, errors = run_cli("show", "zzz", "--runs-dir", "rm", cwd=tmp_path)
    assert errors.endswith("; see: cnn-tui runs --runs-dir rm\n")


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


def test_run_is_named_by_a_path_without_a_slash(runs_dir, run_cli):
    """A run directory, copied into the working directory, is named without `./`."""
    directory = runs_dir.parent
    shutil.copytree(runs_dir / "1124-0412-amber", directory / "rr")
    shutil.copytree(runs_dir / "1124-0412-amber", directory / "amber")
    shutil.copytree(runs_dir / "1125-0100-teal", directory / "1124-0412-amber")
    for reference in ("rr", "amber", "1124-0412-amber"):
        code, _, errors = run_cli("mark", reference, "--note", reference, cwd=directory)
        assert code == 0, errors
    for path, note in (
        ("rr", "rr"),
        ("amber", "amber"),
        ("runs/1124-0412-amber", "1124-0412-amber"),
    ):
        assert note in (directory / path / "marks.json").read_text()
    assert not (directory / "1124-0412-amber/marks.json").exists()


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


@pytest.mark.parametrize("second", ["amber", "latest", "runs/1124-0412-amber", "1124-0412-amber"])
@pytest.mark.parametrize("option", ["--no-ui", "--json"])
def test_run_is_not_compared_with_itself(tmp_path, run_cli, second, option):
    golden_run(tmp_path / "runs", "completed")
    code, out, errors = run_cli("compare", "amber", second, option, cwd=tmp_path)
    assert (code, out) == (2, "")
    assert errors == "cnn-tui: compare: 1124-0412-amber is given twice; name different runs\n"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("--theme pink", "--theme: 'pink' is not one of 'dark', 'light', 'color-blind',"),
        ("run --theme=pink", "--theme: 'pink' is not one of 'dark', 'light', 'color-blind',"),
        ("export a --to foo", "--to: 'foo' is not one of 'onnx', 'safetensors', 'torch-export',"),
        ("run --on-hangup foo", "--on-hangup: 'foo' is not one of 'train', 'stop'"),
        ("run --lr=abc", "--lr: must be a valid number (got 'abc')"),
        ("run --epochs abc", "--epochs: must be a valid integer (got 'abc')"),
        ("run --epochs 1.5", "--epochs: must be a valid integer (got '1.5')"),
        ("run --repeat 0", "--repeat: must be greater than or equal to 1 (got '0')"),
        ("resume --epochs 0", "--epochs: must be greater than or equal to 1 (got '0')"),
        ("run --budget abc", "--budget: 'abc' is not a time; write 1h30m, 10m or 90s"),
        ("predict latest a.png --top x", "--top: must be a valid integer (got 'x')"),
        ("bench --seconds x", "--seconds: must be a valid number (got 'x')"),
    ],
)
def test_wrong_value_of_an_option_is_one_line_with_the_option_and_the_value(
    tmp_path, run_cli, line, expected
):
    code, out, errors = run_cli(*line.split(), cwd=tmp_path)
    assert (code, out, errors.count("\n")) == (2, "", 1)
    assert errors.startswith(f"cnn-tui: {expected}")


def test_suggested_commands_name_the_given_directory_of_runs(runs_dir, run_cli):
    """A suggested command must work as it is, also for runs elsewhere."""
    directory = runs_dir.parent
    runs_dir.rename(directory / "li")
    for name in ("a", "b"):
        (directory / "tb" / name).mkdir(parents=True)
        (directory / "tb" / name / "metrics.csv").write_text("epoch,train_loss\n1,0.5\n")
    for command, suggested in (
        ("export fastai --to csv", "cnn-tui runs --runs-dir li"),
        ("compare 1124-0412-amber", "cnn-tui runs --runs-dir li"),
        ("import tb", "cnn-tui import tb/a/metrics.csv --runs-dir li"),
        ("mark nosuch --star", "cnn-tui runs --runs-dir li"),
    ):
        code, _, errors = run_cli(*command.split(), "--runs-dir", "li", cwd=directory)
        assert code in {2, 3}
        assert suggested in errors, errors
    _, _, errors = run_cli("show", "nosuch", "--runs-dir", "empty", cwd=directory)
    assert "cnn-tui run --runs-dir empty" in errors


@pytest.mark.parametrize("where", ["li", "f/runs"])
def test_suggested_commands_find_a_run_that_was_named_by_its_path(runs_dir, run_cli, where):
    directory = runs_dir.parent
    (directory / where).parent.mkdir(exist_ok=True)
    runs_dir.rename(directory / where)
    run = directory / where / "1124-0412-amber"
    _, _, errors = run_cli("resume", str(run.relative_to(directory)), "--no-ui", cwd=directory)
    assert f"resume {run.name} --epochs 21 --runs-dir {run.parent}" in errors
