"""Command lines that are habits from other programs get the command that was meant."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.main import get_command

from cnn_engine.config.preset_files import list_presets
from cnn_engine.config.presets import list_keys
from cnn_engine.errors import ConfigError
from cnn_engine.runs.directory import list_runs
from cnn_tui.cli import habits
from cnn_tui.cli.app import cli
from golden import golden_run

ROOT = get_command(cli)
COMMANDS = ROOT.commands


@pytest.fixture
def work_dir(tmp_path, monkeypatch):
    """Return a working directory with a run, images and a config."""
    golden_run(tmp_path / "runs", "completed")
    (tmp_path / "my photos/cat").mkdir(parents=True)
    (tmp_path / "photo.jpg").write_text("")
    (tmp_path / "mine.toml").write_text("")
    monkeypatch.setattr(sys, "argv", ["cnn-tui"])
    return tmp_path


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("train", "cnn-tui run"),
        ("train digits --epochs 3", "cnn-tui run digits --epochs 3"),
        ("list", "cnn-tui runs"),
        ("ls", "cnn-tui runs"),
        ("eval latest", "cnn-tui test latest"),
        ("rm amber", "cnn-tui delete amber"),
        ("undelete amber", "cnn-tui trash restore amber"),
        ("help", "cnn-tui --help"),
        ("digits", "cnn-tui run digits"),
        ("mine.toml --epochs 3", "cnn-tui run mine.toml --epochs 3"),
        ("my_photos", "cnn-tui run folder --data-dir 'my photos'"),
        ("photo.jpg", "cnn-tui predict latest photo.jpg"),
        ("amber", "cnn-tui watch amber"),
        ("baseline", "cnn-tui watch baseline"),
        ("run my_photos", "cnn-tui run folder --data-dir 'my photos'"),
        ("bench my_photos", "cnn-tui run folder --data-dir 'my photos'"),
        ("run ../{}/my_photos", "cnn-tui run folder --data-dir '../{}/my photos'"),
        ("run folder my_photos", "cnn-tui run folder --data-dir 'my photos'"),
        ("run amber", "cnn-tui run --like amber"),
        ("run runs/1124-0412-amber", "cnn-tui run --like runs/1124-0412-amber"),
        ("predict my_photos", "cnn-tui predict latest 'my photos'"),
        ("predict photo.jpg my_photos", "cnn-tui predict latest photo.jpg 'my photos'"),
        ("test my_photos", "cnn-tui test latest --data-dir 'my photos'"),
        ("data my_photos", "cnn-tui data check 'my photos'"),
        ("predict latest", "cnn-tui predict latest photos"),
    ],
)
def test_habit_gets_the_command_that_was_meant(work_dir, run_cli, line, meant):
    words = [word.replace("_", " ").format(work_dir.name) for word in line.split()]
    code, out, errors = run_cli(*words, cwd=work_dir)
    assert (code, out) == (2, "")
    assert errors.startswith("cnn-tui: ")
    assert errors.endswith(f": {meant.format(work_dir.name)}\n")
    assert errors.count("\n") == 1
    assert len(list_runs(work_dir / "runs")) == 1


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("run digits --learning-rate 3e-4", "--set optimizer.lr=3e-4"),
        ("run digits --learning-rate=3e-4", "--set optimizer.lr=3e-4"),
        ("run digits --weight-decay 0.1", "--set optimizer.weight_decay=0.1"),
        ("run digits --wd --no-ui", "--set optimizer.weight_decay=VALUE"),
        ("run --optimizer=sgd", "--set optimizer.name=sgd"),
        ("run --arch resnet", "--set model.arch=resnet"),
        ("run --model=resnet", "--set model.name=resnet"),
        ("run --patience 3", "--set train.patience=3"),
        ("run --imgsz 64", "--set data.image_size=64"),
        ("run --batch 32", "--batch-size 32"),
        ("run --data photos", "--data-dir photos"),
        ("run --gpu 0", "--device cuda"),
        ("run --cpu", "--device cpu"),
        ("run --output out", "--runs-dir out"),
        ("run --headless", "--no-ui"),
        ("bench --wd 1", "--set optimizer.weight_decay=1"),
        ("resume --lr 3e-4", "cnn-tui run --set optimizer.lr=3e-4"),
        ("runs --logdir runs", "--runs-dir runs"),
        ("export fern --to markdown --out x.md", "--output x.md"),
        ("export fern --to markdown --output_dir=x", "--output x"),
        ("export fern --to markdown --output-file x", "--output x"),
        ("show --mist x.csv", "--mistakes x.csv"),
        ("run --data_dir photos", "--data-dir photos"),
    ],
)
def test_option_of_another_program_gets_ours(work_dir, run_cli, line, meant):
    code, out, errors = run_cli(*line.split(), cwd=work_dir)
    assert (code, out) == (2, "")
    assert errors.startswith(f"cnn-tui: {line.split()[0]}: no option --")
    assert errors.endswith(f" {meant}\n")


@pytest.mark.parametrize(
    "words", [["--lr", "0.002", "--batch-size", "32"], ["--lr=2e-3", "--batch-size=32"]]
)
def test_common_settings_are_options(tmp_path, run_cli, monkeypatch, words):
    requests = []

    def refuse(request):
        requests.append(request)
        raise ConfigError("not started in this test")

    monkeypatch.setattr("cnn_engine.session.preflight.check_request", refuse)
    assert run_cli("run", "digits", *words, cwd=tmp_path)[0] == 2
    (request,) = requests
    assert (request.config.optimizer.lr, request.config.train.batch_size) == (0.002, 32)


@pytest.mark.parametrize("name", ["x" * 300, "x" * 300 + ".toml"])
@pytest.mark.parametrize(
    "line",
    [
        *("{}", "run {}", "bench {}", "predict {} x", "test {}", "data {}", "data check {}"),
        *("run folder --data-dir {}", "run digits --set model.weights={}"),
        "run fashion-mnist --data-dir {}",
        *("import {}", "export amber --to csv -o {}"),
    ],
)
def test_path_that_is_too_long_is_an_error_of_the_user(work_dir, run_cli, line, name):
    """A text in place of a path is refused like a path that does not exist."""
    code, _, errors = run_cli(*line.format(name).split(), cwd=work_dir)
    assert code in (2, 3, 5)
    assert "Traceback" not in errors


@pytest.mark.parametrize(
    "line",
    [
        *("nonsense", "run --nonsense", "show --quiet", "compare a b --output x", "show --out x"),
        *("predict latest a.png --output-dir x", "run --se 3"),
    ],
)
def test_unknown_words_are_usage_errors(work_dir, run_cli, line):
    code, _, errors = run_cli(*line.split(), cwd=work_dir)
    assert code == 2
    assert "No such" in errors
    assert "--runs-dir x" not in errors


@pytest.mark.parametrize("command", sorted(COMMANDS.keys() - {"run", "bench", "resume"}))
@pytest.mark.parametrize("option", ["--out", "--output-dir", "--outdir", "--out_file", "--save"])
def test_output_of_other_commands_is_no_directory_of_runs(command, option):
    known = {name for param in COMMANDS[command].params for name in param.opts}
    hint = habits.option_hint(command, [option, "x"], known)
    assert "--runs-dir" not in hint


def test_help_and_usage_errors_are_ascii_without_utf8(tmp_path, run_cli, monkeypatch):
    monkeypatch.setenv("LC_ALL", "C")
    for words in (["--help"], ["run", "--help"], ["trash", "-h"], ["show", "--nonsense"]):
        code, out, errors = run_cli(*words, cwd=tmp_path)
        assert code == (2 if "--nonsense" in words else 0)
        assert (out + errors).isascii()
        assert "+-" in out + errors


def test_images_are_not_optional_in_the_usage_of_predict(tmp_path, run_cli):
    _, out, _ = run_cli("predict", "--help", cwd=tmp_path)
    assert "predict [OPTIONS] RUN IMAGE..." in out


def test_words_of_the_tables_are_no_commands_and_options_of_ours():
    """A hint must not lead from one unknown word to another."""
    for ours, words in habits.COMMANDS.items():
        first, *rest = ours.split()
        assert first.startswith("--") or first in COMMANDS
        assert all(name in COMMANDS[first].commands for name in rest)
        assert not set(words.split()) & (set(COMMANDS) | set(list_presets()))
    options = {name for param in COMMANDS["run"].params for name in param.opts}
    for ours, words in habits.OPTIONS.items():
        assert ours.split()[0] in options
        assert not {f"--{word.replace('_', '-')}" for word in words.split()} & options
    assert habits.SETTINGS.keys() <= set(list_keys())


def test_keys_with_a_unique_name_are_known_as_options():
    names = [key.rpartition(".")[2] for key in list_keys()]
    for key in list_keys():
        name = key.rpartition(".")[2]
        if names.count(name) == 1 and name not in ("device", "epochs", "seed", "path"):
            assert f"--set {key}=1" == habits.option_hint(
                "run", [f"--{name.replace('_', '-')}", "1"], {"--set"}
            ).removeprefix(f"run: no option --{name.replace('_', '-')}; use ")


@given(words=st.lists(st.text(max_size=12) | st.sampled_from(["--lr", "--wd=", "--", "-o", "--="])))
def test_any_words_are_hinted_at_or_left_alone(words):
    assert isinstance(habits.option_hint("run", words, {"--set", "--lr"}), str)


@pytest.mark.parametrize("name", ["", *COMMANDS, "trash restore", "trash empty", "data check"])
def test_help_shows_names_instead_of_types(run_cli, tmp_path, name):
    """`--ascii <bool>`, `[[CONFIG]]` and `{RUN RUN...}...` say nothing."""
    code, out, _ = run_cli(*name.split(), "--help", cwd=tmp_path)
    assert code == 0
    for unwanted in ("<bool>", "[[", "{", "<str>", "<list", "RUN RUN"):
        assert unwanted not in out


def test_help_of_run_names_the_presets(run_cli, tmp_path):
    _, out, _ = run_cli("run", "--help", cwd=tmp_path)
    for preset in list_presets():
        assert preset in out
