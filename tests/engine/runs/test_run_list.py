"""The list of all runs is up to date and rereads only changed runs."""

import json
import os
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from cnn_engine.runlog.events import KINDS
from cnn_engine.runlog.log import LogReader
from cnn_engine.runs.directory import RunDirectory, list_runs
from cnn_engine.runs.marks import Marks, read_marks, write_marks
from cnn_engine.runs.recorder import Recorder
from cnn_engine.runs.run_list import RunList
from cnn_engine.runs.summary import LIVE, read_state, read_summary, store_summary
from cnn_tui.reports.run import show_run
from cnn_tui.text.json import to_json
from golden import golden_lines, golden_run, rewrite_events, running_run
from runs_for_tests import RunForTests


@pytest.fixture
def read_ids(monkeypatch):
    """Return a list of the ids of runs whose logs are read."""
    run_ids = []
    poll = LogReader.poll

    def poll_and_record(self):
        run_ids.append(self._lines._path.parent.name)
        return poll(self)

    monkeypatch.setattr(LogReader, "poll", poll_and_record)
    return run_ids


def backdate(run):
    """Set back the modification time of a run, and return the run."""
    long_ago = time.time() - 60
    os.utime(run.path, (long_ago, long_ago))
    return run


def refreshed(runs):
    """Refresh the list, and return its summaries by run id."""
    runs.refresh()
    return {run.run_id: run for run in runs.runs}


def test_logs_are_read_once_and_summaries_cached(tmp_path, read_ids):
    for name in ("a", "b", "c"):
        backdate(golden_run(tmp_path, "completed", name))
    assert list(refreshed(RunList(tmp_path))) == ["c", "b", "a"]
    assert sorted(read_ids) == ["a", "b", "c"]
    assert refreshed(RunList(tmp_path))["a"] == read_summary(RunDirectory(tmp_path / "a"))
    assert len(read_ids) == 3


def test_unchanged_runs_are_not_read_again(tmp_path, monkeypatch):
    for name in ("a", "b", "c"):
        golden_run(tmp_path, "completed", name)
    runs = RunList(tmp_path)
    runs.refresh()
    for name in ("a", "b", "c"):
        backdate(RunDirectory(tmp_path / name))
    runs.refresh()
    before = runs.runs
    monkeypatch.setattr("cnn_engine.runs.run_list.read_summary_in_steps", None)
    runs.refresh()
    assert runs.runs is before


def test_list_follows_new_deleted_and_changed_runs(tmp_path):
    run = running_run(tmp_path, lines=30, run_id="a")
    runs = RunList(tmp_path)
    assert refreshed(runs)["a"].status == "training"  # on another machine, a moment ago
    with run.events.open("a") as log:
        log.write("\n".join(golden_lines("completed")[30:]) + "\n")
    assert refreshed(runs)["a"].status == "done"
    second = golden_run(tmp_path, "stopped", "b")
    assert refreshed(runs)["b"].status == "stopped"
    write_marks(second, Marks(star=True, name="other", tags=("x",)))
    assert (refreshed(runs)["b"].star, refreshed(runs)["b"].name) == (True, "other")
    second.path.rename(tmp_path / ".gone")
    assert list(refreshed(runs)) == ["a"]


def test_live_run_is_read_incrementally(tmp_path, read_ids):
    run = running_run(tmp_path, lines=30)
    runs = RunList(tmp_path)
    with Recorder(run):
        first = json.loads(golden_lines("completed")[0]) | {"host": os.uname().nodename}
        lines = [json.dumps(first), *golden_lines("completed")[1:40]]
        run.events.write_text("\n".join(lines) + "\n")
        assert refreshed(runs)[run.id].status in LIVE
        epochs = refreshed(runs)[run.id].epochs_done
        log = runs._logs[run.id]
        with run.events.open("a") as file:
            file.write("\n".join(golden_lines("completed")[40:60]) + "\n")
        assert refreshed(runs)[run.id].epochs_done > epochs
        assert runs._logs[run.id] is log
    assert refreshed(runs)[run.id].status == "interrupted"
    assert not runs._logs


def test_real_run_is_listed_while_running_and_afterwards(tmp_path):
    run = RunForTests(tmp_path, "train.epochs=2")
    runs = RunList(tmp_path)
    assert refreshed(runs)[run.directory.id].status == "starting"
    run.train()
    summary = refreshed(runs)[run.directory.id]
    assert (summary.status, summary.epochs_done) == ("done", 2)
    assert summary.val_losses == tuple(epoch.val_loss for epoch in run.live_state.epochs)
    assert summary.config == run.live_state.config
    assert refreshed(RunList(tmp_path))[run.directory.id] == summary


@pytest.mark.parametrize(
    "change",
    [
        {"status": "dome"},
        {"epochs": "many"},
        {"best_val_loss": []},
        {"val_losses": [1, "x"]},
        {"config_json": {}},
        {"log": None},
        {"name": None},
        {"more": 1},
        {"star": True},
    ],
)
def test_invalid_cache_is_ignored(tmp_path, change, read_ids):
    run = golden_run(tmp_path, "completed")
    expected = read_summary(run)
    record = json.loads(run.summary.read_bytes()) | change
    run.summary.write_text(json.dumps(record))
    read_ids.clear()
    assert read_summary(run) == expected
    assert read_ids == [run.id]
    read_ids.clear()
    assert read_summary(run) == expected
    assert not read_ids


def test_replaced_log_of_same_size_is_noticed(tmp_path):
    run = golden_run(tmp_path, "completed")
    assert read_summary(run).name == "baseline"
    changed = run.events.read_text().replace('"baseline"', '"bassline"', 1)
    run.events.write_text(changed)
    os.utime(run.events, (1e9, 1e9))
    assert read_summary(run).name == "bassline"


def test_losses_of_many_epochs_are_thinned(tmp_path):
    run = golden_run(tmp_path, "completed")
    state, _ = read_state(run)
    state.epochs = [*state.epochs * 50]
    store_summary(state, run)
    losses = json.loads(run.summary.read_bytes())["val_losses"]
    assert 24 <= len(losses) <= 48
    assert losses[-1] == state.epochs[-1].val_loss


# Other files, and damaged runs.


def test_other_files_are_not_runs(tmp_path):
    runs_dir = tmp_path / "runs"
    real = golden_run(tmp_path / "elsewhere", "completed", "real")
    golden_run(runs_dir, "completed", "real-run")
    golden_run(runs_dir, "completed", ".hidden")
    (runs_dir / "link").symlink_to(real.path)
    (runs_dir / "notes.txt").write_text("not a run")
    (runs_dir / "empty").mkdir()
    (runs_dir / "linked-log").mkdir()
    (runs_dir / "linked-log" / "events.jsonl").symlink_to(real.events)
    (runs_dir / "pipe").mkdir()
    os.mkfifo(runs_dir / "pipe" / "events.jsonl")
    (runs_dir / "folder").mkdir()
    (runs_dir / "folder" / "events.jsonl").mkdir()
    (runs_dir / "dangling").symlink_to("nowhere")
    assert [run.id for run in list_runs(runs_dir)] == ["real-run"]
    assert list(refreshed(RunList(runs_dir))) == ["real-run"]


NAMES = [
    "\x1b[2J",
    "[red]x",
    "[@click=app.exit]y",
    "a\nb",
    "x" * 255,
    "\udcff",
    "\u202eabc",
    "=cmd",
]


def test_strange_run_names_are_listed_as_safe_text(tmp_path):
    for name in NAMES:
        golden_run(tmp_path, "completed", name)
    result = cnn_tui("runs", "--runs-dir", str(tmp_path))
    assert result.returncode == 0
    assert len(result.stdout.splitlines()) == len(NAMES) + 1
    assert all(line.isprintable() for line in result.stdout.splitlines())
    listed = json.loads(cnn_tui("runs", "--runs-dir", str(tmp_path), "--json").stdout)
    assert {run["run_id"] for run in listed} == set(NAMES)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("RunStarted", {"config": {"train": 5}}),
        ("RunStarted", {"config": {"train": {"epochs": "many"}}}),
        ("RunStarted", {"config": {"train": {"epochs": None}}}),
        ("RunPrepared", {"steps_per_epoch": (1 << 63) - 1}),
        ("StepsFinished", {"epoch": (1 << 63) - 1}),
        ("TestFinished", {"correct": (), "total": (), "tta": "flip"}),
    ],
)
def test_log_with_nonsense_values_is_listed_and_shown(tmp_path, capsys, kind, values):
    run = golden_run(tmp_path, "completed")
    rewrite_events(
        run, lambda event: replace(event, **values) if type(event) is KINDS[kind] else event
    )
    summary = refreshed(RunList(tmp_path))[run.id]
    assert (summary.status, summary.damaged_lines) == ("done", 0)
    json.loads(to_json(summary.as_dict()), parse_constant=pytest.fail)
    show_run(run)
    assert run.id in capsys.readouterr().out


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read anything")
def test_unreadable_log_is_listed_as_damaged(tmp_path):
    run = golden_run(tmp_path, "completed")
    run.events.chmod(0)
    summary = read_summary(run)
    assert (summary.status, summary.error) == (
        "damaged",
        "the log cannot be read: Permission denied",
    )


def test_log_of_nonsense_times_is_listed(tmp_path, run_cli):
    run = golden_run(tmp_path, "completed")
    first, *rest = map(json.loads, golden_lines("completed"))
    first["time"] = 1e300
    first["config"]["train"]["epochs"] = 10**30
    for event in rest:
        event["time"] = -1e300
        if "seconds" in event and event["kind"] == "RunFinished":
            event["seconds"] = 1e308
    run.events.write_text("\n".join(map(json.dumps, [first, *rest])) + "\n")
    for arguments in (("runs",), ("runs", "--json"), ("show", run.id), ("show", run.id, "--json")):
        code, _, error = run_cli(*arguments, "--runs-dir", tmp_path, cwd=tmp_path)
        assert (code, error) == (0, "")


def test_read_only_directory_is_listed(tmp_path):
    run = golden_run(tmp_path, "completed")
    run.path.chmod(0o500)
    try:
        assert refreshed(RunList(tmp_path))[run.id].status == "done"
    finally:
        run.path.chmod(0o700)


# Marks.


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"{", b"[]", b"null", b"\xff", b'{"tags": 5}', b"[" * 100_000),
        b'{"star": "yes", "name": 5, "note": [], "tags": [1, {}]}',
    ],
)
def test_damaged_marks_are_ignored(tmp_path, content):
    run = golden_run(tmp_path, "completed")
    run.marks.write_bytes(content)
    assert read_marks(run) == Marks()


def test_marks_survive_round_trip(tmp_path):
    run = golden_run(tmp_path, "completed")
    marks = Marks(star=True, name="", note="a\u202eb", tags=("a", "b"))
    write_marks(run, marks)
    assert read_marks(run) == marks
    assert read_marks(run).with_tags("c", "a").without_tags("b").tags == ("a", "c")
    assert [path.name for path in run.path.glob("*.tmp")] == []


# The command.


def cnn_tui(*arguments):
    program = "from cnn_tui.main import main; main()"
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        check=False,
        capture_output=True,
        text=True,
        errors="surrogateescape",
        stdin=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "COLUMNS": "300"},
    )


@pytest.fixture
def runs_command(run_cli, tmp_path, monkeypatch):
    """Return a function that runs `runs` on a wide terminal: exit code, stdout, stderr."""
    monkeypatch.setenv("COLUMNS", "300")
    return lambda *options: run_cli("runs", "--runs-dir", tmp_path, *options, cwd=tmp_path)


def test_runs_command_filters_and_sorts(tmp_path, runs_command):
    for name in ("completed", "stopped", "failed"):
        golden_run(tmp_path, name, name)

    def listed(*options):
        code, out, error = runs_command(*options)
        assert (code, error) == (0, "")
        return [line.split()[0] for line in out.splitlines()[1:]]

    assert listed("--filter", "acc>50%", "--sort", "-acc") == ["completed", "stopped"]
    assert listed("--filter", "not status=done", "--sort", "run") == ["failed", "stopped"]
    values = json.loads(runs_command("--filter", "lr<=0.001", "--json")[1])
    assert {run["config"]["optimizer"]["lr"] for run in values} == {0.001}
    assert " lr " in runs_command("--sort", "lr")[1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--filter", "acx>1"), "filter, position 1: unknown column 'acx'; did you mean 'acc'?"),
        (("--sort", "-acx"), "sort: unknown column 'acx'; did you mean 'acc'?"),
    ],
)
def test_invalid_filter_or_sort_is_a_usage_error(tmp_path, runs_command, options, message):
    golden_run(tmp_path, "completed")
    assert runs_command(*options) == (2, "", f"cnn-tui: {message}\n")


def test_filter_without_matches_is_reported(tmp_path, runs_command):
    golden_run(tmp_path, "completed")
    code, out, error = runs_command("--filter", "acc<0.1")
    assert (code, out) == (0, "")
    assert error == f"cnn-tui: None of 1 runs in {tmp_path} matches: acc<0.1\n"
