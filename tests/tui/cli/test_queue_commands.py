"""`run --queue`, `queue`, and the commands that control queued runs."""

import json

import pytest

from cnn_engine.queue.devices import runs_on
from cnn_engine.queue.entries import read_entries
from cnn_engine.runs.directory import RunDirectory
from cnn_engine.runs.summary import read_summary
from cnn_engine.session import holder_process
from queues import busy
from runs_for_tests import RunForTests, wait_until
from terminal import SET_SMALL

ARGUMENTS = ("run", "digits", "--epochs", "1", *SET_SMALL, "--queue")


@pytest.fixture(autouse=True)
def no_holder(monkeypatch):
    """Start no process that starts queued runs."""
    monkeypatch.setattr(holder_process, "MODULE", "cnn_engine.errors")


def test_queued_run_is_listed_moved_held_and_cancelled(tmp_path, run_cli):
    ids = []
    for name in ("a", "b", "c"):
        code, out, errors = run_cli(*ARGUMENTS, "--name", name, cwd=tmp_path)
        assert code == 0
        ids.append(out.strip())
        assert "Watch it: cnn-tui watch" in errors
    assert "Queued 3 for cpu: waits for 2 queued runs." in errors
    with busy(run=tmp_path / "runs" / "other"):
        _, out, _ = run_cli("queue", cwd=tmp_path)
    assert [line.split()[:3] for line in out.splitlines()[1:]] == [
        [run_id, "queued", str(number)] for number, run_id in enumerate(ids, 1)
    ]
    assert run_cli("queue", "up", ids[2], cwd=tmp_path).out == (
        f"{ids[2]}: queued 2 for cpu: waits for 1 queued run\n"
    )
    assert run_cli("pause", "a", cwd=tmp_path).out.startswith(f"{ids[0]}: held in the queue")
    _, out, _ = run_cli("queue", "--json", cwd=tmp_path)
    rows = json.loads(out)
    assert [(row["name"], row["queue_position"]) for row in rows] == [("c", 1), ("b", 2), ("a", 0)]
    assert rows[0]["path"] == str(tmp_path / "runs" / ids[2])
    _, out, _ = run_cli("runs", cwd=tmp_path)
    assert [line.split()[1] for line in out.splitlines()[1:]] == ["queued", "queued", "held"]
    assert run_cli("unpause", "a", cwd=tmp_path).out.startswith(f"{ids[0]}: queued 3 for cpu")
    assert run_cli("stop", "b", cwd=tmp_path).out.startswith(f"{ids[1]}: cancelled; resume it with")
    assert run_cli("delete", "c", cwd=tmp_path).code == 0
    assert [entry.run for entry in read_entries()] == [str(tmp_path / "runs" / ids[0])]
    summary = read_summary(RunDirectory(tmp_path / "runs" / ids[1]))
    assert (summary.status, summary.queue_position) == ("stopped", None)
    code, _, errors = run_cli("queue", "up", "b", cwd=tmp_path)
    assert code == 2
    assert f"run {ids[1]}: is not in the queue" in errors
    assert "cnn-tui queue add" in errors
    code, _, errors = run_cli("checkpoint", "a", cwd=tmp_path)
    assert (code, f"{ids[0]} is queued: it is not running" in errors) == (2, True)


def test_series_is_one_entry(tmp_path, run_cli):
    code, out, _ = run_cli(*ARGUMENTS, "--repeat", "2", cwd=tmp_path)
    (entry,) = read_entries()
    assert (code, entry.run, entry.is_series) == (0, str(tmp_path / "runs" / out.strip()), True)
    assert [row["run_id"] for row in json.loads(run_cli("queue", "--json", cwd=tmp_path).out)] == [
        out.strip()
    ]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("--nproc", "2"), "--queue trains in one process"),
        (("--resume-or-start", "a"), "--queue cannot be used with --resume-or-start"),
        (("--time-limit", "1h"), "use --budget with --queue"),
    ],
)
def test_options_that_a_queued_run_cannot_have(tmp_path, run_cli, options, text):
    code, _, errors = run_cli(*ARGUMENTS, *options, cwd=tmp_path)
    assert (code, text in errors) == (2, True)
    assert not (tmp_path / "runs").exists()


def test_unwritable_state_directory_is_one_line(tmp_path, run_cli, state_home):
    (state_home / "cnn-tui").write_text("not a directory")
    code, out, errors = run_cli(*ARGUMENTS, cwd=tmp_path)
    assert (code, out) == (5, "")
    assert len(errors.splitlines()) == 1
    assert "the queue cannot be written" in errors
    assert "run --detach" in errors
    assert not list((tmp_path / "runs").glob("*"))
    assert run_cli("runs", cwd=tmp_path).code == 0


def test_run_that_is_started_by_hand_leaves_the_queue(tmp_path, run_cli):
    _, out, _ = run_cli(*ARGUMENTS, cwd=tmp_path)
    other = run_cli(*ARGUMENTS, cwd=tmp_path).out.strip()
    code, _, errors = run_cli("resume", out.strip(), "--no-ui", cwd=tmp_path)
    assert code == 0, errors
    assert [entry.run for entry in read_entries()] == [str(tmp_path / "runs" / other)]
    code, out, errors = run_cli("run", *ARGUMENTS[1:-1], "--no-ui", cwd=tmp_path)
    assert code == 0
    assert "A queued run waits until this run ends" in errors


def test_paused_run_frees_its_device_and_goes_on_from_the_queue(tmp_path, run_cli):
    run = RunForTests(tmp_path / "runs", "train.epochs=100000")
    run.engine.start()
    wait_until(lambda: runs_on("cpu"))
    code, out, _ = run_cli("pause", "--free", run.directory.id, cwd=tmp_path)
    assert (code, "held in the queue" in out) == (0, True)
    run.engine.join()
    assert not runs_on("cpu")
    assert read_summary(run.directory).queue_position == 0
    assert "Held in the queue" in run_cli("show", run.directory.id, cwd=tmp_path).out
    code, out, _ = run_cli("unpause", run.directory.id, cwd=tmp_path)
    assert out == f"{run.directory.id}: queued 1 for cpu: starts in a moment\n"
    summary = read_summary(run.directory)
    assert summary.seconds == pytest.approx(run.live_state.elapsed_seconds)
