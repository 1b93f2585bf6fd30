"""`--notify` and `--on-end`: real runs that send messages to a real server."""

import signal
import subprocess
import sys
from dataclasses import replace

import pytest

import cnn_tui
from cnn_engine.notifications.targets import Targets, read_targets
from cnn_engine.runlog.events import RunFinished, RunStarted
from cnn_engine.runs.directory import RunDirectory, create_run, list_runs
from cnn_engine.runs.recorder import Recorder
from cnn_engine.session import background
from cnn_engine.session.engine import begin_run
from cnn_engine.session.request import Request
from cnn_engine.storage.locks import is_locked
from cnn_engine.system.stop_signals import STOP_SIGNALS
from runs_for_tests import SMALL, events_of
from terminal import SET_SMALL, environment
from terminal_runs import only_run
from webhook import webhook_server

SHORT = ("--no-ui", "--epochs", "1", *SET_SMALL)
SECRET = "T0PSECRET"  # noqa: S105 - of no real URL


@pytest.fixture
def webhook():
    with webhook_server() as server:
        yield server


def test_run_tells_its_end_and_keeps_urls_secret(tmp_path, webhook, run_cli):
    url = webhook.url(f"ok/{SECRET}")
    states = []

    def on_request():
        run = only_run(tmp_path)
        states.append((is_locked(run.events), len(events_of(run, RunFinished))))

    webhook.on_request = on_request
    command = f'echo "$CNN_TUI_STATUS" > {tmp_path}/{SECRET}'
    options = ("--name", "a", "--notify", url, "--notify", webhook.url("500/x"))
    result = run_cli("run", "digits", *SHORT, *options, "--on-end", command, cwd=tmp_path)
    assert result.code == 0
    assert states == [(False, 1)] * 2  # others can read and resume the run
    masked = webhook.url("…")
    notice = f"cnn-tui: notifications failed: {masked}: HTTP 500 Internal Server Error"
    assert result.errors.splitlines()[-1] == notice
    fields = next(item.fields for item in webhook.received if SECRET in item.path)
    run = only_run(tmp_path)
    assert (fields["event"], fields["run"], fields["name"]) == ("done", run.id, "a")
    assert (tmp_path / SECRET).read_text() == "done\n"
    (started,) = events_of(run, RunStarted)
    assert started.command[-6:] == ("--notify", masked, "--notify", masked, "--on-end", "…")
    shown = [run_cli("show", *options, cwd=tmp_path) for options in ((), ("--json",))]
    for kind in ("json", "html", "markdown"):
        run_cli("export", "latest", "--to", kind, "-o", f"out.{kind}", cwd=tmp_path)
    texts = [result.out + result.errors, *(result.out + result.errors for result in shown)]
    texts += [path.read_text() for path in tmp_path.glob("out.*")]
    paths = [path for path in run.path.iterdir() if path.name != "notify.json"]
    texts += [path.read_bytes().decode("latin-1") for path in paths]
    assert len(texts) > 10
    assert not any(SECRET in text for text in texts)

    # Resumed, it keeps its receivers, until others are given.
    for options, epochs in ((), 2), (("--notify", "off"), 3):
        result = run_cli("resume", "--no-ui", "--epochs", epochs, *options, cwd=tmp_path)
        assert result.code == 0
        assert len(webhook.received) == 4
        assert bool(read_targets(run).urls) == (not options)
        assert read_targets(run).on_end == command


def test_failure_is_told_with_its_error(tmp_path, webhook, run_cli):
    events = ("--notify-on", "failed, done", "--notify", webhook.url())
    result = run_cli(
        *("run", "digits", *SHORT, "--set", "optimizer.lr=1e30", *events), cwd=tmp_path
    )
    assert result.code == 4
    (received,) = webhook.received
    assert (received.fields["event"], received.fields["exit_code"]) == ("failed", 4)
    assert "training loss became" in received.fields["error"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--notify", "example.org/x"), "--notify: not a URL; write https://"),
        (("--notify", f"ftp://example.org/{SECRET}"), "--notify ftp://example.org/…: only http"),
        (("--notify-on", "end"), "--notify-on 'end': expected one or more of done, failed"),
    ],
)
def test_wrong_option_is_refused_before_training(tmp_path, run_cli, options, expected):
    result = run_cli("run", "digits", *SHORT, *options, cwd=tmp_path)
    assert result.code == 2
    assert result.errors.startswith(f"cnn-tui: {expected}")
    assert result.errors.count("\n") == 1
    assert not (tmp_path / "runs").exists()


def test_series_tells_its_end_once_and_failures_at_once(tmp_path, webhook, run_cli):
    url = webhook.url(f"ok/{SECRET}")
    sweep = ("--sweep", "optimizer.lr=1e-3,1e30", "--notify", url)
    command = f'echo "$CNN_TUI_STATUS" >> {tmp_path}/statuses'
    result = run_cli("run", "digits", *SHORT[1:], *sweep, "--on-end", command, cwd=tmp_path)
    assert result.code == 4
    failed, series = (item.fields for item in webhook.received)
    first, second = sorted(list_runs(tmp_path / "runs"), key=lambda run: run.id != series["run"])
    assert (failed["event"], failed["run"]) == ("failed", second.id)
    assert (series["event"], series["runs"], series["runs_done"]) == ("failed", 2, 1)
    assert "1 of 2 runs done" in series["title"]
    assert "training loss became" in series["text"]
    assert (tmp_path / "statuses").read_text() == "failed\n"
    assert read_targets(first) == read_targets(second)
    assert f"cnn-tui resume group:{first.id}" in series["text"]
    assert series["show"] == f"cnn-tui show group:{first.id}"
    files = [path for path in (tmp_path / "runs").rglob("*") if path.is_file()]
    secret = {path.name for path in files if SECRET.encode() in path.read_bytes()}
    assert secret == {"notify.json"}


def test_background_run_reads_its_receivers(tmp_path, webhook, monkeypatch):
    """The process of a detached run has no options."""
    run = create_run(tmp_path / "runs")
    targets = Targets(urls=(webhook.url(),))
    request = Request.from_preset("digits", [*SMALL, "train.epochs=1"])
    with Recorder(run) as recorder:
        begin_run(replace(request, notify=targets), recorder)
    monkeypatch.setattr(sys, "argv", ["background", str(run.path)])
    monkeypatch.setattr(background.faulthandler, "enable", lambda: None)
    handlers = {number: signal.getsignal(number) for number in (*STOP_SIGNALS, signal.SIGHUP)}
    try:
        with pytest.raises(SystemExit) as end:
            background.main()
        assert end.value.code == 0
        assert [item.fields["event"] for item in webhook.received] == ["done"]
        with pytest.raises(SystemExit) as end:
            background.main()  # there is nothing to resume
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    assert end.value.code == 2
    assert webhook.received[-1].fields["event"] == "failed"


LOOP = """
import cnn_tui
run = cnn_tui.init(name="own")
run.log({{"train/loss": 0.5}})
{end}
"""


@pytest.mark.parametrize(
    ("end", "event", "code"), [("", "done", 0), ("raise ValueError('it broke')", "failed", 1)]
)
def test_training_loop_tells_its_end_as_its_program_ends(tmp_path, webhook, end, event, code):
    """Python starts no threads at that time."""
    variables = {
        "CNN_TUI_NOTIFY_URL": f"{webhook.url()} {webhook.url('500/x')}",
        "CNN_TUI_NOTIFY_ON_END": f"echo $CNN_TUI_STATUS > {tmp_path}/status",
    }
    result = subprocess.run(
        [sys.executable, "-c", LOOP.format(end=end)],
        cwd=tmp_path,
        env=environment(**variables),
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == code
    assert "notifications failed: " in result.stderr
    fields = next(item.fields for item in webhook.received if "ok" in item.path)
    assert (fields["event"], fields["exit_code"], fields["name"]) == (event, code, "own")
    assert "train/loss 0.5" in fields["text"]
    assert (tmp_path / "status").read_text() == f"{event}\n"


def test_training_loop_of_a_command_does_not_resume_the_ended_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ended = cnn_tui.init()
    ended.finish()
    monkeypatch.setenv("CNN_TUI_RUN", ended.id)
    monkeypatch.setenv("CNN_TUI_STATUS", "done")
    next_run = cnn_tui.init()
    next_run.finish()
    assert next_run.id != ended.id


def test_wrong_variables_do_not_keep_a_loop_from_being_recorded(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CNN_TUI_NOTIFY_URL", SECRET)
    run = cnn_tui.init()
    run.finish()
    assert "CNN_TUI_NOTIFY_URL: not a URL" in capsys.readouterr().err
    assert len(events_of(RunDirectory(run.path), RunFinished)) == 1
