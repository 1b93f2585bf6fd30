"""`cnn-tui mark`, `delete` and `trash`, and shell completion."""

import errno
import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from cnn_engine.errors import RunHeldError, StorageError
from cnn_engine.runs import trash
from cnn_engine.runs.directory import RunDirectory, list_runs
from cnn_engine.runs.marks import Marks, read_marks
from cnn_engine.runs.recorder import Recorder
from cnn_tui.cli.completion import complete_sort_key
from fresh_interpreter import TORCH_SIDE
from golden import golden_run, running_run
from imports_for_tests import import_text
from recorded_loops import LoopForTests
from terminal import environment

IMPORTS = "import sys; sys.argv[0] = 'cnn-tui'\nfrom cnn_tui.main import main\n"
"""Start of a program that completes as `cnn-tui`."""


def run_program(code, cwd, *arguments, **changes):
    return subprocess.run(
        [sys.executable, "-c", IMPORTS + code, *arguments],
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        cwd=cwd,
        env=environment(**changes),
    )


@pytest.fixture
def work_dir(tmp_path):
    """Working directory with two runs."""
    for run_id in ("1124-0412-amber", "1124-0500-teal"):
        golden_run(tmp_path / "runs", "completed", run_id)
    return tmp_path


@pytest.fixture
def cnn_tui(run_cli, work_dir):
    """Function that runs a command in the working directory."""
    return partial(run_cli, cwd=work_dir)


def ids(runs):
    return sorted(run.id for run in runs)


def test_mark_sets_and_prints_marks(work_dir, cnn_tui):
    amber = RunDirectory(work_dir / "runs" / "1124-0412-amber")
    options = ("--star", "--name", "best yet", "--tag", "paper", "--tag", "b", "--note", "why")
    assert cnn_tui("mark", "1124-04", *options).code == 0
    marks = Marks(star=True, name="best yet", tags=("b", "paper"), note="why")
    assert read_marks(amber) == marks
    result = cnn_tui("mark", "1124-04", "--no-star", "--untag", "b", "--json")
    expected = {"star": False, "name": "best yet", "tags": ["paper"], "note": "why"}
    assert json.loads(result.out) == {"run_id": amber.id, **expected}
    assert "tags  paper" in cnn_tui("mark", "1124-04").out
    (listed,) = json.loads(cnn_tui("runs", "--filter", "tag=paper", "--json").out)
    assert (listed["run_id"], listed["name"]) == (amber.id, "best yet")


@pytest.mark.parametrize(
    "options",
    [("--name", "a\nb"), ("--name", "x" * 300), ("--tag", ""), ("--tag", " , "),
     ("--tag", "b," + "x" * 300),
     ("--note", "\x1b[2J"), ("--tag", "a\u202eb")],
)  # fmt: skip
def test_invalid_marks_are_refused(work_dir, cnn_tui, options):
    result = cnn_tui("mark", "1124-04", *options)
    assert result.code == 2
    assert len(result.errors.splitlines()) == 1
    assert not RunDirectory(work_dir / "runs" / "1124-0412-amber").marks.exists()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *(
            (text, ["base", "paper"])
            for text in ("paper, base", "paper,base", "paper base", ",base paper,")
        ),
        ("paper", ["paper"]),
    ],
)
def test_tags_are_separated_by_commas_or_spaces(work_dir, run_cli, text, expected):
    """`--tag "paper, base"` must not make a tag that ends in a comma."""
    code, out, _ = run_cli("mark", "1124-04", "--tag", text, "--json", cwd=work_dir)
    assert (code, json.loads(out)["tags"]) == (0, expected)
    code, out, _ = run_cli("mark", "1124-04", "--untag", text, "--json", cwd=work_dir)
    assert (code, json.loads(out)["tags"]) == (0, [])


def test_tag_with_a_comma_of_an_older_version_is_removed(work_dir, run_cli):
    run = RunDirectory(work_dir / "runs/1124-0412-amber")
    run.marks.write_text('{"tags": ["paper,", "base"]}')
    code, out, _ = run_cli("mark", "1124-04", "--untag", "paper,", "--json", cwd=work_dir)
    assert (code, json.loads(out)["tags"]) == (0, ["base"])


def test_deleted_runs_are_listed_restored_and_removed(work_dir, cnn_tui):
    runs_dir = work_dir / "runs"
    assert cnn_tui("delete", "1124-04", "1124-05").out.split() == [
        "1124-0412-amber",
        "1124-0500-teal",
    ]
    assert list_runs(runs_dir) == []
    assert len(cnn_tui("trash").out.splitlines()) == 3
    listed = json.loads(cnn_tui("trash", "--json").out)
    assert {run["run_id"] for run in listed} == {"1124-0412-amber", "1124-0500-teal"}
    assert cnn_tui("trash", "restore", "1124-04").out == "1124-0412-amber\n"
    assert ids(list_runs(runs_dir)) == ["1124-0412-amber"]
    unconfirmed = cnn_tui("trash", "empty")
    assert (unconfirmed.code, len(trash.list_trash(runs_dir))) == (2, 1)
    assert cnn_tui("trash", "empty", "--yes").out == "1 runs removed\n"
    assert list((runs_dir / ".trash").iterdir()) == []
    assert ids(list_runs(runs_dir)) == ["1124-0412-amber"]


def test_delete_of_an_unknown_run_deletes_none(work_dir, cnn_tui):
    result = cnn_tui("delete", "1124-04", "nope")
    assert result.code == 2
    assert len(list_runs(work_dir / "runs")) == 2


@pytest.mark.parametrize("reference", ["../x", "/etc", ".trash", ".", "", "\n", "a/b"])
def test_delete_refuses_paths_that_are_not_runs(work_dir, cnn_tui, reference):
    assert cnn_tui("delete", reference).code == 2
    assert len(list_runs(work_dir / "runs")) == 2


def test_delete_refuses_a_running_run(tmp_path):
    run = running_run(tmp_path, lines=30)
    with Recorder(run), pytest.raises(RunHeldError, match="is running and cannot be deleted"):
        trash.delete(run)
    assert run.events.exists()


def test_delete_of_a_loop_that_cannot_stop_says_how_to_end_it(tmp_path):
    loop = LoopForTests(tmp_path)
    loop.run.log({"loss": 1.0})
    loop.flush()
    where = f"process {os.getpid()} on {os.uname().nodename}"
    with pytest.raises(RunHeldError, match=rf"end its program first \({where}\)"):
        trash.delete(loop.directory)
    for _ in loop.run.epochs(2):
        loop.flush()
        with pytest.raises(RunHeldError, match="stop it first: cnn-tui stop"):
            trash.delete(loop.directory)
    loop.finish()


def test_trash_keeps_runs_with_the_same_id(tmp_path):
    for _ in range(3):
        trash.delete(golden_run(tmp_path, "completed", "a"))
    assert ids(trash.list_trash(tmp_path)) == ["a", "a~2", "a~3"]
    assert trash.restore(tmp_path, "a~2").id == "a"
    with pytest.raises(StorageError, match="already exists"):
        trash.restore(tmp_path, "a~3")
    assert ids(trash.list_trash(tmp_path)) == ["a", "a~3"]


def test_failed_delete_leaves_no_trash(tmp_path, monkeypatch):
    """A trash that one user has made would keep others from deleting in a shared directory."""
    run = golden_run(tmp_path, "completed", "a")

    def refuse(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(StorageError, match="cannot be moved: Permission denied"):
        trash.delete(run)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_trash_of_another_user_blocks_nobody(tmp_path, monkeypatch):
    for run_id in ("theirs", "mine"):
        golden_run(tmp_path, "completed", run_id)
    trash.delete(RunDirectory(tmp_path / "theirs"))
    real = os.access
    monkeypatch.setattr(
        os, "access", lambda path, mode: path != tmp_path / ".trash" and real(path, mode)
    )
    deleted = trash.delete(RunDirectory(tmp_path / "mine"))
    assert deleted.path.parent.name == f".trash-{os.geteuid()}"
    assert ids(trash.list_trash(tmp_path)) == ["mine", "theirs"]
    assert list_runs(tmp_path) == []
    assert trash.restore(tmp_path, "mine").id == "mine"
    trash.delete(RunDirectory(tmp_path / "mine"))
    assert trash.empty_trash(tmp_path) == 1
    assert ids(trash.list_trash(tmp_path)) == ["theirs"]


def test_symlinked_trash_is_not_followed(tmp_path):
    runs_dir, elsewhere = tmp_path / "runs", tmp_path / "elsewhere"
    run = golden_run(runs_dir, "completed", "a")
    golden_run(elsewhere, "completed", "precious")
    (runs_dir / ".trash").symlink_to(elsewhere)
    with pytest.raises(StorageError, match="is not a directory"):
        trash.delete(run)
    assert trash.list_trash(runs_dir) == []
    assert trash.empty_trash(runs_dir) == 0
    assert ids(list_runs(elsewhere)) == ["precious"]
    assert run.events.exists()


def test_emptied_trash_removes_links_but_not_their_targets(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("1")
    run = golden_run(tmp_path / "runs", "completed", "a")
    (run.path / "link").symlink_to(outside)
    trash.delete(run)
    (tmp_path / "runs" / ".trash" / "other").symlink_to(outside)
    assert trash.empty_trash(tmp_path / "runs") == 1
    assert (outside / "precious").read_text() == "1"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_runs_that_cannot_be_moved_are_reported(tmp_path):
    run = golden_run(tmp_path, "completed", "a")
    tmp_path.chmod(0o500)
    with pytest.raises(StorageError, match="Permission denied"):
        trash.delete(run)
    tmp_path.chmod(0o700)


# Completion.


@pytest.fixture
def completions(cnn_tui):
    """Function that returns the completions of a line's words, one per line."""

    def complete(*words, shell="bash"):
        line = " ".join(("cnn-tui", *words))
        variables = {
            "bash": {"COMP_WORDS": line, "COMP_CWORD": str(len(words))},
            "zsh": {"_TYPER_COMPLETE_ARGS": line},
            "fish": {"_TYPER_COMPLETE_ARGS": line, "_TYPER_COMPLETE_FISH_ACTION": "get-args"},
        }[shell]
        with pytest.MonkeyPatch.context() as patch:
            for name, value in {**variables, "_CNN_TUI_COMPLETE": f"complete_{shell}"}.items():
                patch.setenv(name, value)
            result = cnn_tui()
        assert result.errors == ""
        return result.out

    return complete


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_of_run_ids(completions, shell):
    text = completions("show", "1124-04", shell=shell)
    assert "1124-0412-amber" in text
    assert "teal" not in text


def test_completion_by_command_and_option(work_dir, completions):
    (work_dir / "mine.toml").write_text("")
    (work_dir / "notes.txt").write_text("")
    assert completions("run", "ci").split() == sorted(
        name for name in completions("configs", "").split() if name.startswith("ci")
    )
    assert completions("run", "mi").split() == ["mine.toml"]
    assert completions("run", "--set", "train.ep").split() == ["train.epochs="]
    assert completions("run", "--like", "late").split() == ["latest"]
    for command in ("export", "compare", "explain", "predict", "compare x"):
        assert completions(*command.split(), "late").split() == ["latest"]
    assert completions("bench", "dig").split() == ["digits"]
    assert completions("bench", "--set", "train.ep").split() == ["train.epochs="]
    assert completions("runs", "--sort", "te").split() == ["test", "testloss"]
    assert completions("delete", "1124-05").split() == ["1124-0500-teal"]
    trash.delete(RunDirectory(work_dir / "runs" / "1124-0500-teal"))
    assert completions("trash", "restore", "1").split() == ["1124-0500-teal"]
    golden_run(work_dir / "other", "completed", "elsewhere")
    assert completions("show", "--runs-dir", "other", "e").split() == ["elsewhere"]


def test_completion_omits_unprintable_names(work_dir, completions):
    golden_run(work_dir / "runs", "completed", "1124-04\x1b[2J")
    assert completions("show", "1124-04").split() == ["1124-0412-amber"]


def test_completion_imports_no_torch(work_dir):
    print_modules = "lambda: print(*sys.modules, file=sys.stderr)"
    code = f"import atexit; atexit.register({print_modules}); main()"
    words = {"COMP_WORDS": "cnn-tui show 1", "COMP_CWORD": "2"}
    result = run_program(code, work_dir, _CNN_TUI_COMPLETE="complete_bash", **words)
    loaded = set(result.stderr.split())
    assert "1124-0412-amber" in result.stdout
    assert "cnn_tui.cli.completion" in loaded
    assert not loaded & (TORCH_SIDE | {"textual", "rich.console"})


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_show_completion_prints_a_script(cnn_tui, monkeypatch, shell):
    monkeypatch.setenv("_CNN_TUI_COMPLETE", f"source_{shell}")
    result = cnn_tui()
    assert result.code == 0
    assert "_CNN_TUI_COMPLETE=complete_" in result.out


def test_configs_json_lists_presets(cnn_tui):
    assert "digits" in json.loads(cnn_tui("configs", "--json").out)


@pytest.mark.parametrize("typed", ["D", '"D', "-D"])
def test_completion_quotes_series_with_parentheses(tmp_path, typed):
    import_text(tmp_path, "epoch,loss,D(x)\n1,3,7\n")
    context = SimpleNamespace(params={"runs_dir": tmp_path / "runs"})
    assert complete_sort_key(context, typed) == ['-"D(x)"' if typed == "-D" else '"D(x)"']
