"""`cnn-tui settings`, and settings in place of options of other commands."""

import json
import os
import re
import stat
import sys

import pytest
import torch

from cnn_engine.system import threads
from cnn_tui.cli import app, train
from cnn_tui.dashboard import launch
from cnn_tui.headless import run as headless
from cnn_tui.settings import OnHangup, Options, ThemeName, run_defaults
from fresh_interpreter import loaded_modules
from golden import golden_run
from runs_for_tests import SMALL

SET_SMALL = [word for key in SMALL[:-1] for word in ("--set", key)]


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Return a function that writes the file of settings and returns its path."""
    path = tmp_path / "settings" / "config.toml"
    monkeypatch.setenv("CNN_TUI_CONFIG", str(path))

    def write_file(text):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path

    return write_file


@pytest.fixture
def editor(tmp_path, monkeypatch):
    """Return a function that sets an editor, which runs Python with the file in `path`."""

    def set_editor(code, variable="EDITOR"):
        script = tmp_path / "the editor.py"
        script.write_text(f"import sys\npath = sys.argv[-1]\n{code}\n")
        monkeypatch.setenv(variable, f"{sys.executable} '{script}' --wait")

    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.delenv("EDITOR", raising=False)
    return set_editor


# Printing.


def test_settings_are_printed_with_their_sources(tmp_path, run_cli, write, monkeypatch):
    path = write(
        '[display]\ntheme = "light"\n[notify]\nurl = ["https://me:word@ntfy.sh/secret?k=1"]\n'
        '[keys]\nrun.pause = "space"\n'
    )
    monkeypatch.setenv("CNN_TUI_BELL", "1")
    code, out, errors = run_cli("settings", cwd=tmp_path)
    assert (code, errors) == (0, "")
    first, _, headings, *rows = out.splitlines()
    assert first.rstrip() == str(path)
    assert headings.split() == ["setting", "value", "from", "option", "variable"]
    cells = [re.split(" {2,}", row.rstrip()) for row in rows]
    for expected in (
        ["display.theme", '"light"', "file", "--theme", "CNN_TUI_THEME"],
        ["display.bell", "true", "CNN_TUI_BELL", "--bell", "CNN_TUI_BELL"],
        ["display.mouse", "true", "default", "--mouse", "CNN_TUI_MOUSE"],
        ["notify.url", '["https://ntfy.sh/…"]', "file", "--notify", "CNN_TUI_NOTIFY_URL"],
        ["keys.run.pause", '"space"', "file", "CNN_TUI_KEYS"],
    ):
        assert expected in cells
    code, out, _ = run_cli("settings", "--json", cwd=tmp_path)
    record = json.loads(out)
    assert (code, record["file"], record["exists"], record["problems"]) == (0, str(path), True, [])
    assert record["settings"]["display.theme"]["value"] == "light"
    assert record["settings"]["display.theme"]["source"] == "file"
    assert record["settings"]["notify.url"]["value"] == ["https://ntfy.sh/…"]
    assert "word" not in out
    assert "secret" not in out


def test_settings_without_a_file_name_the_command_that_writes_one(tmp_path, run_cli, monkeypatch):
    monkeypatch.delenv("CNN_TUI_CONFIG")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    code, out, errors = run_cli("settings", cwd=tmp_path)
    assert (code, errors) == (0, "")
    note = "config.toml (does not exist yet; create it with: cnn-tui settings edit)"
    assert out.splitlines()[0].endswith(note)


def test_mistakes_are_printed_with_the_settings(tmp_path, run_cli, write):
    path = write('[display]\ntheme = "\\u001b[31m"\n[keys]\nrun.pause = "s"\n')
    code, out, errors = run_cli("settings", cwd=tmp_path)
    assert code == 2
    assert "display.theme" in out
    first, second = errors.splitlines()
    assert first.startswith(f"cnn-tui: {path}:2: display.theme: contains control characters: ")
    assert second.startswith(f"cnn-tui: {path}:4: keys.run.pause: s is the key of run.stop too")
    assert "\x1b" not in errors
    code, out, _ = run_cli("settings", "--json", cwd=tmp_path)
    assert code == 2
    assert len(json.loads(out)["problems"]) == 2


# Editing.


def test_edit_writes_a_file_that_explains_and_opens_it(tmp_path, run_cli, write, editor):
    path = tmp_path / "settings/config.toml"
    editor("text = open(path).read(); open(path, 'w').write(text.replace('# theme =', 'theme ='))")
    assert run_cli("settings", "edit", cwd=tmp_path) == (0, "", "")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    text = path.read_text()
    assert '\ntheme = "dark"\n' in text
    assert '# run.pause = "p"  # Pause or continue training\n' in text
    assert [entry.name for entry in path.parent.iterdir()] == ["config.toml"]
    editor("open(path, 'a').write('\\nrun.pause = \\'s\\'\\nfoo = \\'z\\'\\n')", "VISUAL")
    code, out, errors = run_cli("settings", "edit", cwd=tmp_path)
    assert (code, out) == (2, "")
    lines = path.read_text().splitlines()
    numbers = [lines.index(line) + 1 for line in ("run.pause = 's'", "foo = 'z'")]
    assert [line.partition(" is ")[0].partition(" no ")[0] for line in errors.splitlines()] == [
        f"cnn-tui: {path}:{numbers[1]}: keys.foo:",
        f"cnn-tui: {path}:{numbers[0]}: keys.run.pause: s",
    ]


def test_edit_keeps_a_file_and_its_link(tmp_path, run_cli, write, editor):
    path = write("[display]\n")
    target = tmp_path / "dotfiles.toml"
    path.rename(target)
    path.symlink_to(target)
    target.chmod(0o600)
    editor("open(path, 'a').write('bell = true\\n')")
    assert run_cli("settings", "edit", cwd=tmp_path) == (0, "", "")
    assert target.read_text() == "[display]\nbell = true\n"
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    target.unlink()  # a link that leads nowhere yet
    assert run_cli("settings", "edit", cwd=tmp_path).code == 2  # bell = true below [keys]
    assert path.is_symlink()
    assert "# Colour theme." in target.read_text()


def test_edit_without_an_editor_names_the_file(tmp_path, run_cli, write, editor, monkeypatch):
    path = tmp_path / "settings/config.toml"
    assert run_cli("settings", "edit", cwd=tmp_path) == (
        2,
        "",
        f"cnn-tui: settings edit: VISUAL and EDITOR are not set; open it yourself: {path}\n",
    )
    assert path.exists()
    for value, reason in (
        ("no-such-editor -w", "cannot be started: No such file or directory; set it, or open"),
        ("vi 'x", "cannot be started: No closing quotation; set it, or open"),
        ("false", "ended with code 1; the file is"),
    ):
        monkeypatch.setenv("EDITOR", value)
        code, _, errors = run_cli("settings", "edit", cwd=tmp_path)
        assert code == 2
        assert reason in errors
        assert errors.endswith(f"{path}\n")
        assert errors.count("\n") == 1


@pytest.mark.parametrize("in_place", ["directory", "pipe", "null"])
def test_edit_of_something_else_than_a_file_is_refused(
    tmp_path, run_cli, write, monkeypatch, in_place
):
    monkeypatch.setenv("EDITOR", "false")
    path = write("")
    path.unlink()
    if in_place == "directory":
        path.mkdir()
    elif in_place == "pipe":
        os.mkfifo(path)
    else:
        path = os.devnull
        monkeypatch.setenv("CNN_TUI_CONFIG", path)
    code, out, errors = run_cli("settings", "edit", cwd=tmp_path)
    assert (code, out) == (2, "")
    assert errors.startswith(f"cnn-tui: {path}: ")
    assert errors.count("\n") == 1


def test_edit_where_nothing_can_be_written_is_refused(tmp_path, run_cli, monkeypatch):
    (tmp_path / "file").write_text("")
    path = tmp_path / "file/config.toml"
    monkeypatch.setenv("CNN_TUI_CONFIG", str(path))
    code, _, errors = run_cli("settings", "edit", cwd=tmp_path)
    assert code == 5
    assert errors == f"cnn-tui: {path}: cannot be written: File exists\n"


# Other commands.


def test_mistake_is_a_line_of_every_command_and_keeps_none_from_working(tmp_path, run_cli, write):
    path = write("[display]\nteme = 1\n")
    golden_run(tmp_path / "runs", "completed")
    for command in ("runs", "show", "configs", "mark amber --star"):
        code, out, errors = run_cli(*command.split(), cwd=tmp_path)
        assert (code, bool(out)) == (0, True), command
        assert errors == (
            f"cnn-tui: {path}:2: display.teme: unknown setting; did you mean 'display.theme'?\n"
        )


def test_display_settings_hold_unless_an_option_is_given(tmp_path, run_cli, write, monkeypatch):
    write('[display]\ntheme = "light"\nascii = true\nmouse = false\nbell = true\n')
    received = []
    monkeypatch.setattr(launch, "show_runs", lambda _, options: received.append(options) or 0)
    monkeypatch.setattr(launch, "watch_run", lambda _, options: received.append(options) or 0)
    for module in (app, train):
        monkeypatch.setattr(module, "has_terminal", lambda: True)
    golden_run(tmp_path / "runs", "completed")
    light = Options(ThemeName.LIGHT, ascii=True, mouse=False, bell=True)
    changed = Options(ThemeName.DARK, ascii=False, mouse=True, bell=False)
    words = ("--theme", "dark", "--no-ascii", "--mouse", "--no-bell")
    for command in ((), ("watch",), words, ("watch", *words), (*words, "watch")):
        run_cli(*command, cwd=tmp_path)
    assert received == [light, light, changed, changed, changed]


def test_runs_directory_of_the_settings_is_that_of_all_commands(tmp_path, run_cli, write):
    runs_dir = tmp_path / "all my runs"
    write(f'[run]\nruns_dir = "{runs_dir}"\n')
    golden_run(runs_dir, "completed")
    (tmp_path / "log.csv").write_text("loss\n1\n")
    code, out, _ = run_cli("runs", "--json", cwd=tmp_path)
    assert [run["run_id"] for run in json.loads(out)] == ["1124-0412-amber"]
    code, _, errors = run_cli("import", "log.csv", cwd=tmp_path)
    assert code == 0
    assert len(list(runs_dir.iterdir())) == 2
    assert "--runs-dir" not in errors  # of the suggested command
    code, _, errors = run_cli("show", "nosuch", cwd=tmp_path)
    assert errors.endswith("see: cnn-tui runs\n")
    golden_run(tmp_path / "runs", "completed")  # without the setting, the default
    code, _, errors = run_cli("show", "nosuch", "--runs-dir", "runs", cwd=tmp_path)
    assert errors.endswith("see: cnn-tui runs --runs-dir runs\n")
    assert "CNN_TUI_RUNS_DIR" not in os.environ


def test_loop_of_ones_own_records_into_the_runs_directory_of_the_settings(tmp_path, write):
    runs_dir = tmp_path / "elsewhere"
    write(f'[run]\nruns_dir = "{runs_dir}"\n')
    code = "import cnn_tui; cnn_tui.init().log({'loss': 1})"
    loaded_modules(code, tmp_path)
    assert len(list(runs_dir.iterdir())) == 1
    loaded_modules(f"import os; os.environ['CNN_TUI_RUNS_DIR'] = 'mine'; {code}", tmp_path)
    assert len(list((tmp_path / "mine").iterdir())) == 1


@pytest.fixture
def prepared(monkeypatch):
    """Runs that would have been trained: their first events, and reactions to a hangup."""
    found = []

    def record(engine, _run, _as_json, on_hangup):
        request = engine._request
        found.append((request.config.train, request.fallback, on_hangup))
        engine._recorder.close()
        return 0

    monkeypatch.setattr(headless, "run_headless", record)
    return found


def test_device_threads_and_hangup_of_the_settings_are_those_of_new_runs(
    tmp_path, run_cli, write, prepared, monkeypatch
):
    write('[run]\ndevice = "cpu"\nthreads = 2\non_hangup = "stop"\n')
    (tmp_path / "own.toml").write_text('[data]\nsource = "digits"\n[train]\nthreads = 5\n')
    monkeypatch.delenv("OMP_NUM_THREADS")

    def last(*words):
        code, _, errors = run_cli("run", *words, "--no-ui", cwd=tmp_path)
        assert code == 0, errors
        trained, _, on_hangup = prepared[-1]
        return trained.device, trained.threads, on_hangup

    assert last("digits") == ("cpu", 2, OnHangup.STOP)
    assert last("digits", "--device", "auto", "--on-hangup", "train") == ("auto", 2, OnHangup.TRAIN)
    assert last("own.toml", "--set", "train.device=auto") == ("auto", 5, OnHangup.STOP)
    assert last("digits", "--set", "train.threads=0") == ("cpu", 0, OnHangup.STOP)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # as a batch system sets it
    assert last("digits") == ("cpu", 0, OnHangup.STOP)
    monkeypatch.setenv("CNN_TUI_THREADS", "3")
    assert last("digits") == ("cpu", 3, OnHangup.STOP)


def test_device_of_the_settings_is_recorded_and_changes_no_other_run(
    tmp_path, run_cli, write, prepared
):
    small = [*SET_SMALL, "--set", "train.epochs=1"]
    write("")
    code, *_ = run_cli("run", "digits", "--no-ui", *small, cwd=tmp_path)
    assert code == 0
    before = prepared[-1][0]
    write('[run]\ndevice = "cpu"\n')
    run_cli("run", "--like", "latest", "--no-ui", cwd=tmp_path)
    assert prepared[-1][0] == before
    assert before.device == "auto"


def test_default_device_that_this_machine_lacks_is_an_error_with_its_place(
    tmp_path, run_cli, write, prepared, monkeypatch
):
    monkeypatch.setattr(run_defaults, "may_exist", lambda _: False)
    path = write('[run]\ndevice = "cuda"\n')
    assert run_cli("run", "digits", "--no-ui", cwd=tmp_path) == (
        2,
        "",
        f"cnn-tui: {path}:2: run.device: there is no 'cuda' device here; change the setting, or "
        "use --device auto\n",
    )
    assert run_cli("run", "digits", "--no-ui", "--device", "cpu", cwd=tmp_path).code == 0


def test_thread_count_of_the_settings_is_that_of_the_training(
    tmp_path, run_cli, write, monkeypatch
):
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setattr(threads, "_requested", 0)  # also after this test
    before = torch.get_num_threads()
    count = min(2, threads.thread_limits().allowed)
    write(f'[run]\ndevice = "cpu"\nthreads = {count}\n')
    code, out, _ = run_cli(
        "run", "digits", "--json", *SET_SMALL, "--set", "train.epochs=1", cwd=tmp_path
    )
    assert code == 0
    events = {event["kind"]: event for event in map(json.loads, out.splitlines())}
    train = events["RunStarted"]["config"]["train"]
    assert (train["device"], train["threads"]) == ("cpu", count)
    assert events["RunPrepared"]["threads"] == count
    torch.set_num_threads(before)


def test_own_keys_with_a_mistake_are_not_listed(run_cli, tmp_path, monkeypatch):
    file = tmp_path / "keys.toml"
    file.write_text('[keys]\n"run.pause" = "space"\n"run.stop" = "foo"\nnothing = "x"\n')
    monkeypatch.setenv("CNN_TUI_CONFIG", str(file))
    code, out, errors = run_cli("settings", cwd=tmp_path)
    assert code == 2
    assert "keys.run.pause" in out
    assert "keys.run.stop" not in out
    assert "keys.nothing" not in out
    assert "run.stop" in errors
