"""`cnn-tui test`: the final test repeated."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnn_engine.data.dataset import load_dataset
from cnn_engine.inference.retest import retest
from cnn_engine.results import mistakes, predictions
from cnn_engine.results.mistakes import read_mistakes
from cnn_engine.results.predictions import read_predictions
from cnn_engine.runs.directory import RunDirectory
from cnn_engine.runs.summary import read_state
from runs_for_tests import RunForTests
from terminal import cnn_tui


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return RunForTests(tmp_path_factory.mktemp("runs"), "train.epochs=2").train()


@pytest.fixture
def run(trained, tmp_path):
    """Return a copy of the run that a test may damage."""
    return RunDirectory(Path(shutil.copytree(trained.directory.path, tmp_path / "runs" / "copy")))


@pytest.fixture
def retest_command(run_cli, tmp_path):
    """Return a function that runs `test RUN`: exit code, stdout, stderr."""

    def command(run, *arguments):
        return run_cli("test", run.id, "--runs-dir", run.path.parent, *arguments, cwd=tmp_path)

    return command


def retest_silently(run):
    """Repeat the test of a run, without reporting progress."""
    return retest(run, None, lambda *_: None)


def contents(run):
    """Return the contents of a run's files by name."""
    return {path.name: path.read_bytes() for path in run.path.iterdir()}


def test_retest_prints_the_recorded_test_and_changes_nothing(run, run_cli):
    before = contents(run)
    options = ("--runs-dir", run.path.parent, "--no-ui")
    _, recorded, _ = run_cli("watch", run.id, *options, cwd=run.path)
    result = cnn_tui("test", run.id, "--runs-dir", run.path.parent)
    assert result.returncode == 0, result.stderr
    *lines, verdict = result.stdout.splitlines()
    assert lines == recorded.splitlines()[-len(lines) :]
    assert lines[0].startswith("Test Loss: ")
    assert verdict == "All counts equal the recorded test"
    assert result.stderr == ""
    assert contents(run) == before


def test_retest_as_json(run, retest_command, run_cli):
    values = json.loads(retest_command(run, "--json")[1])
    options = ("--runs-dir", run.path.parent, "--json")
    summary = json.loads(run_cli("show", run.id, *options, cwd=run.path)[1])
    assert values["equal_to_recorded"] is True
    assert values["figures"] == summary["figures"]
    assert values["run_id"] == run.id


def test_retest_repeats_test_time_augmentation(tmp_path):
    settings = ("train.epochs=2", "evaluate.tta=mirror", "average.kind=ema")
    run = RunForTests(tmp_path, *settings).train().directory
    repeated = retest_silently(run)
    assert repeated.is_equal is True
    assert repeated.test.tta == "mirror"
    assert repeated.test.tta_correct == repeated.recorded.tta_correct != repeated.test.correct


def test_different_counts_are_reported(run, retest_command):
    log = run.events.read_text()
    state = read_state(run)[0]
    changed = list(state.test.correct)
    changed[3] -= 1
    old, new = (str(list(counts)).replace(" ", "") for counts in (state.test.correct, changed))
    run.events.write_text(log.replace(f'"correct":{old},"total"', f'"correct":{new},"total"'))
    code, out, _ = retest_command(run)
    assert code == 0
    assert out.splitlines()[-1].startswith("Differs from the recorded test of epoch")
    assert retest_silently(run).is_equal is False


def test_different_thread_count_is_reported(run, retest_command):
    text = run.events.read_text()
    run.events.write_text(text.replace('"threads":1,', '"threads":7,'))
    assert "threads: 1, before 7" in retest_command(run)[2]


def test_retest_of_an_untested_run(run, retest_command):
    lines = run.events.read_text().splitlines(keepends=True)
    run.events.write_text("".join(line for line in lines if '"kind":"TestF' not in line))
    code, out, _ = retest_command(run)
    assert code == 0
    assert "No recorded test" in out
    assert retest_silently(run).is_equal is None


@pytest.mark.parametrize("file", [predictions.PREDICTIONS_FILE, mistakes.MISTAKES_FILE])
@pytest.mark.parametrize(
    "damage", [lambda path: path.unlink(), lambda path: path.write_bytes(b"{")]
)
def test_missing_or_damaged_results_are_written_again(run, file, damage):
    before = contents(run)
    damage(run.path / file)
    assert retest_silently(run).notice == "test.json and mistakes.json were written again"
    assert contents(run) == before


def test_results_of_older_versions_get_heatmaps(run):
    before, path = contents(run), run.path / mistakes.MISTAKES_FILE
    file = json.loads(path.read_bytes())
    assert all(mistake.pop("heatmap")["values"] for mistake in file["mistakes"])
    path.write_text(json.dumps(file))
    assert not any(mistake.heatmap for mistake in read_mistakes(run, read_state(run)[0].test))
    assert retest_silently(run).notice == "test.json and mistakes.json were written again"
    assert contents(run) == before


def test_retest_writes_results_of_logs_without_fingerprint(run):
    recorded = read_state(run)[0].test
    text = run.events.read_text()
    run.events.write_text(text.replace(f',"fingerprint":"{recorded.fingerprint}"', ""))
    for file in (predictions.PREDICTIONS_FILE, mistakes.MISTAKES_FILE):
        (run.path / file).unlink()
    assert retest_silently(run).is_equal is True
    test = read_state(run)[0].test
    assert test.fingerprint == ""
    assert read_predictions(run, test).fingerprint == recorded.fingerprint
    assert read_mistakes(run, test)


def make_folder(directory, seed=0):
    """Create an image folder of two classes, and return its path."""
    generator = np.random.default_rng(seed)
    for name, level in (("dark", 40), ("light", 200)):
        (directory / name).mkdir(parents=True)
        for number in range(30):
            pixels = generator.normal(level, 90, (12, 12, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(directory / name / f"{number:02}.png")
    return directory


@pytest.fixture
def folder_run(tmp_path):
    images = make_folder(tmp_path / "images")
    settings = (f"data.path={images}", "train.epochs=1", "model.filters=[4]")
    return RunForTests(tmp_path / "runs", *settings, preset="folder").train().directory, images


def test_changed_images_are_refused(folder_run, retest_command):
    run, images = folder_run
    before = contents(run)
    name = read_predictions(run, read_state(run)[0].test).names[0]
    Image.new("RGB", (12, 12), "red").save(images / name)
    code, out, error = retest_command(run)
    assert (code, out) == (3, "")
    assert "the test images have changed since" in error
    assert contents(run) == before
    (images / name).unlink()
    code, _, error = retest_command(run)
    assert code == 3
    assert "has changed since the run was trained on it" in error


def test_moved_images_are_found_with_data_dir(folder_run, tmp_path, retest_command):
    run, images = folder_run
    images.rename(tmp_path / "elsewhere")
    assert retest_command(run)[0] == 3
    code, out, error = retest_command(run, "--data-dir", "elsewhere")
    assert code == 0, error
    assert out.splitlines()[-1] == "All counts equal the recorded test"


def test_predictions_are_stored_by_file_name(folder_run):
    run, images = folder_run
    stored = read_predictions(run, read_state(run)[0].test)
    assert all((images / name).is_file() for name in stored.names)
    data = load_dataset(
        RunForTests(
            images.parent / "again", f"data.path={images}", preset="folder"
        ).engine._request.config.data,
        0,
        lambda *_: None,
    )
    assert {data.classes[target] for target in stored.target} == {"dark", "light"}


@pytest.mark.parametrize(
    ("damage", "code", "message"),
    [
        (lambda run: (run.path / "best.pt").unlink(), 2, "has no model yet"),
        (lambda run: (run.path / "best.pt").write_bytes(b"x" * 999), 3, "is damaged"),
        (lambda run: run.events.write_text(""), 2, "has no model yet"),
    ],
)
def test_retest_without_a_model_fails(run, retest_command, damage, code, message):
    damage(run)
    exit_code, out, error = retest_command(run)
    assert (exit_code, out) == (code, "")
    assert message in error
    assert error.count("\n") == 1
