"""The entry point, and options before the command."""

from types import SimpleNamespace

import pytest

from cnn_tui.cli import app, compare, explain, import_, train
from cnn_tui.dashboard import launch
from cnn_tui.main import may_open_dashboard
from cnn_tui.settings import Options, ThemeName
from golden import golden_run


@pytest.mark.parametrize(
    "line",
    [
        *("", "run", "run digits --epochs 3", "watch latest", "--theme light", "--ascii run"),
        *("compare a b", "import --follow logs", "explain"),
    ],
)
def test_dashboard_commands_are_supervised(line):
    assert may_open_dashboard(line.split())


@pytest.mark.parametrize(
    "line",
    [
        *("runs", "show", "--theme light runs", "pause latest", "data fetch"),
        *("run --no-ui", "run digits --json", "watch --no-ui", "compare a b --no-ui"),
        *("explain --no-ui", "--help", "run --help", "--version"),
    ],
)
def test_printing_commands_are_not_supervised(line):
    assert not may_open_dashboard(line.split())


@pytest.mark.parametrize(
    ("command", "opens"),
    [
        ("", "show_runs"),
        ("watch", "watch_run"),
        ("compare amber teal", "compare_runs"),
        ("explain", "show_lesson"),
        ("import log.csv --follow", "watch_run"),
    ],
)
def test_display_options_are_passed_to_the_dashboard(
    tmp_path, monkeypatch, run_cli, command, opens
):
    for run_id in ("1124-0412-amber", "1124-0413-teal"):
        golden_run(tmp_path / "runs", "completed", run_id)
    (tmp_path / "log.csv").write_text("loss\n1\n")
    received_options = []
    monkeypatch.setattr(
        launch, opens, lambda _, options, *_alarm: received_options.append(options) or 0
    )
    for module in (app, train, compare, explain, import_):
        monkeypatch.setattr(module, "has_terminal", lambda: True)
    code, _, errors = run_cli("--theme", "light", "--ascii", *command.split(), cwd=tmp_path)
    assert code == 0, errors
    assert received_options == [Options(ThemeName.LIGHT, ascii=True)]


def test_watch_waits_for_a_first_run(tmp_path, monkeypatch, run_cli):
    opened = []
    record = lambda _: golden_run(tmp_path / "runs", "completed")  # noqa: E731
    monkeypatch.setattr(train, "time", SimpleNamespace(sleep=record))
    monkeypatch.setattr(train, "has_terminal", lambda: True)
    monkeypatch.setattr(launch, "watch_run", lambda run, _: opened.append(run.id) or 0)
    code, _, errors = run_cli("watch", cwd=tmp_path)
    assert (code, opened) == (0, ["1124-0412-amber"])
    assert errors == "Waiting for a first run in runs; ctrl+c quits\n"
