"""A run is resumed although its images, or the run itself, are elsewhere now (`--data-dir`)."""

import shutil

import pytest

from cnn_engine.runlog.events import ConfigReplaced, RunFinished
from cnn_engine.runlog.log import LogReader
from cnn_engine.runs.directory import RunDirectory
from cnn_engine.runs.summary import read_state, read_summary
from grammar import SESSIONS, event_letters
from photos_for_tests import save_images
from runs_for_tests import RunForTests, events_of


@pytest.fixture
def moved(tmp_path):
    """Return a run of a folder `p`, which has been moved to `q`."""
    for shade, name in enumerate(("cat", "dog")):
        save_images(tmp_path / "p" / name, shade=120 * shade, count=20)
    settings = (f"data.path={tmp_path / 'p'}", "train.epochs=1", "train.precision=fp32")
    run = RunForTests(tmp_path / "runs", *settings, preset="folder").train()
    assert run.live_state.status == "done"
    (tmp_path / "p").rename(tmp_path / "q")
    return run.directory


def test_moved_images_are_named_once_and_remembered(moved, run_cli, tmp_path):
    """resume takes another directory of the same images (ultralytics/ultralytics#26148)."""
    arguments = ("resume", moved.id, "--no-ui", "--epochs")
    log = moved.events.read_bytes()
    for elsewhere in ((), ("--data-dir", "nowhere")):
        code, _, errors = run_cli(*arguments, "2", *elsewhere, cwd=tmp_path)
        assert code == 3
        assert f"if the images were moved: cnn-tui resume {moved.id} --data-dir DIR" in errors
    assert moved.events.read_bytes() == log

    code, _, _ = run_cli(*arguments, "2", "--data-dir", "q", cwd=tmp_path)
    assert code == 0
    state, _ = read_state(moved)
    assert (state.status, len(state.epochs), state.total_epochs) == ("done", 2, 2)
    assert state.prepared.differences == ()
    assert state.config["data"]["path"] == str(tmp_path / "q")
    (replaced,) = events_of(moved, ConfigReplaced)
    assert replaced.reason == f"The images are in {tmp_path / 'q'} from now on"

    assert run_cli(*arguments, "3", cwd=tmp_path)[0] == 0
    assert run_cli("test", moved.id, cwd=tmp_path)[0] == 0
    letters = event_letters(LogReader(moved.events).poll())
    assert SESSIONS.fullmatch(letters), letters


def test_other_images_are_refused_and_not_remembered(moved, run_cli, tmp_path):
    for shade, name in enumerate(("cat", "dog")):
        save_images(tmp_path / "other" / name, shade=99 * shade, count=20)
    code, _, _ = run_cli(
        *("resume", moved.id, "--no-ui", "--epochs", "2", "--data-dir", "other"), cwd=tmp_path
    )
    assert code == 3
    state, _ = read_state(moved)
    assert "are not those that last.pt was trained on" in state.notices[-1].text
    assert state.config["data"]["path"] == str(tmp_path / "p")
    assert not events_of(moved, ConfigReplaced)


@pytest.mark.parametrize("end", ["done", "stopped"])
def test_run_that_cannot_be_resumed_stays_as_it_was(moved, run_cli, tmp_path, end):
    """An image of a finished run is missing when it is resumed."""
    if end == "stopped":
        log = moved.events.read_text()
        moved.events.write_text(log.replace('"status":"done"', '"status":"stopped"'))
    before, _ = read_state(moved)
    assert before.status == end
    assert before.test is not None
    next((tmp_path / "q").rglob("*.*")).unlink()
    for attempt in (1, 2):
        code, _, _ = run_cli(
            *("resume", moved.id, "--no-ui", "--epochs", "4", "--data-dir", "q"), cwd=tmp_path
        )
        assert code == 3
        after, _ = read_state(moved)
        assert len(events_of(moved, RunFinished)) == 1 + attempt
        assert "Could not be resumed" in after.notices[-1].text
        assert (after.status, after.total_epochs, after.epochs) == (end, 1, before.epochs)
        assert (after.test, after.finished, after.curve) == (
            before.test,
            before.finished,
            before.curve,
        )
        summary = read_summary(moved)
        assert (summary.status, summary.error, summary.epochs) == (end, "", 1)
        assert summary.test_accuracy == before.test.accuracy


def test_copied_run_is_resumed_elsewhere(moved, run_cli, tmp_path):
    """A run directory is copied with its images to another place (azavea/raster-vision#756)."""
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(moved.path, elsewhere / "runs" / moved.id)
    shutil.move(tmp_path / "q", elsewhere / "photos")
    shutil.rmtree(moved.path)
    code, _, errors = run_cli(
        *("resume", "latest", "--no-ui", "--epochs", "2", "--data-dir", "photos"), cwd=elsewhere
    )
    assert code == 0, errors
    state, _ = read_state(RunDirectory(elsewhere / "runs" / moved.id))
    assert (state.status, state.config["data"]["path"]) == ("done", str(elsewhere / "photos"))
