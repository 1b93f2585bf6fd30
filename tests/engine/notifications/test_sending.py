"""Messages are sent to a real server, and to ones that misbehave."""

import json
import os
import socket
import sys
from pathlib import Path

import pytest

from cnn_engine.notifications import http as sending
from cnn_engine.notifications import notifier as notifiers
from cnn_engine.notifications.http import send
from cnn_engine.notifications.message import Message, alarm_message, end_message
from cnn_engine.notifications.notifier import Notifier, notify_lost
from cnn_engine.notifications.services import make_request
from cnn_engine.notifications.targets import Targets, write_targets
from cnn_engine.runlog.events import AlarmRaised, RunFinished
from cnn_engine.runs.marks import Marks, write_marks
from cnn_engine.runs.summary import read_state
from golden import golden_run
from runs_for_tests import wait_until
from webhook import webhook_server

MESSAGE = Message(
    event="failed", title="größe: failed", text="a <b> & c\nd", fields={"event": "failed", "x": 1}
)


@pytest.fixture
def webhook():
    with webhook_server() as server:
        yield server


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(sending, "SOCKET_SECONDS", 0.3)
    monkeypatch.setattr(notifiers, "MAX_SECONDS", 0.5)


# Services.


def body_of(url, message=MESSAGE):
    return json.loads(make_request(url, message).body)


def test_each_service_gets_its_own_form():
    assert body_of("https://hooks.slack.com/services/a/b") == {
        "text": "*größe: failed*\na &lt;b&gt; &amp; c\nd"
    }
    assert body_of("https://discord.com/api/webhooks/1/x") == {
        "content": "**größe: failed**\na <b> & c\nd",
        "allowed_mentions": {"parse": []},
    }
    assert body_of("https://example.org/hook") == {"event": "failed", "x": 1}
    for url in (
        "ntfy://example.org:81/topic",
        "https://ntfy.sh/topic",
        "https://ntfy.me.org/topic",
    ):
        request = make_request(url, MESSAGE)
        assert request.url.startswith("https://")
        assert request.body == MESSAGE.text.encode()
        assert request.headers["Title"] == "=?utf-8?b?Z3LDtsOfZTogZmFpbGVk?="
        assert (request.headers["Priority"], request.headers["Tags"]) == ("high", "x")
    long = Message(event="done", title="t", text="x" * 3000, fields={})
    assert len(body_of("https://discord.com/api/webhooks/1/x", long)["content"]) == 2000


def test_user_and_password_become_a_header():
    request = make_request("https://:tk%5Fsecret@example.org:8443?q=1#part", MESSAGE)
    assert request.url == "https://example.org:8443/?q=1"
    assert request.headers["Authorization"] == "Basic OnRrX3NlY3JldA=="


# The server's answers.


def test_message_is_sent(webhook):
    assert send(webhook.url("ok/x", scheme="ntfy+http"), MESSAGE) == ""
    (received,) = webhook.received
    assert received.path == "/ok/x"
    assert received.body == MESSAGE.text.encode()
    assert received.headers["User-Agent"].startswith("cnn-tui/")  # Discord refuses Python's own


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("500/T0PSECRET", "HTTP 500 Internal Server Error"),
        ("404/T0PSECRET", "HTTP 404 Not Found"),
        ("garbage/T0PSECRET", "its answer is not HTTP"),
        ("hang/T0PSECRET", "no answer in 5 s"),
    ],
)
def test_reason_of_a_failure_has_no_secret(webhook, impatient, path, reason):
    """Servers quote the path of the request in their pages."""
    assert send(webhook.url(path), MESSAGE) == reason
    assert len(webhook.received) == 1


def test_servers_that_are_not_there(monkeypatch):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    assert send(f"http://127.0.0.1:{port}/x", MESSAGE) == "connection refused"

    def fail(*_args, **_kwargs):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    assert send("https://nowhere.invalid/x", MESSAGE) == "its host is unknown"


@pytest.mark.parametrize("code", [301, 302, 307, 308])
def test_redirect_to_the_same_host_is_followed(webhook, code):
    webhook.location = webhook.url("ok/new")
    assert send(webhook.url(f"{code}/x"), MESSAGE) == ""
    assert [received.path for received in webhook.received] == [f"/{code}/x", "/ok/new"]
    assert webhook.received[1].fields == MESSAGE.fields


@pytest.mark.parametrize("location", ["http://localhost:{}/ok/T0P", "ftp://127.0.0.1:{}/x"])
def test_redirect_to_another_host_is_not_followed(webhook, location):
    webhook.location = location.format(webhook.server.server_port)
    text = send(webhook.url("302/x"), MESSAGE)
    shown = webhook.location.rpartition("/")[0].removesuffix("/ok")
    assert text == f"HTTP 302 Found, a redirect to {shown}/…"
    assert len(webhook.received) == 1


def test_redirects_in_a_circle_end(webhook):
    webhook.location = webhook.url("307/x")
    assert send(webhook.url("307/x"), MESSAGE).startswith("HTTP 307")
    assert len(webhook.received) < 10


# The notifier.


def notify_end(run, targets):
    """Send the messages for the end of a run; return the notice."""
    write_targets(run, targets)
    state, _ = read_state(run)
    return Notifier(run).end(state, state.finished)


def test_bad_receivers_cost_one_notice_and_limited_time(tmp_path, webhook, impatient):
    run = golden_run(tmp_path, "completed")
    paths = ("ok/T0P", "hang/T0P", "drip/T0P", "500/T0P")
    notice = notify_end(run, Targets(urls=tuple(map(webhook.url, paths)), on_end="exit 3"))
    assert not webhook.released.is_set()  # two servers still answer
    assert webhook.wait_for(4)
    host = webhook.url("…")
    assert notice == (
        f"notifications failed: {host}: no answer in 5 s; {host}: no answer in 0 s; "
        f"{host}: HTTP 500 Internal Server Error; "
        f"--on-end: ended with exit code 3, see {run.console}"
    )
    assert run.console.read_text() == f"cnn-tui: {notice}\n"


def test_event_that_is_not_wanted_is_not_sent_but_executed(tmp_path, webhook):
    run = golden_run(tmp_path, "completed")
    command = f'echo "$CNN_TUI_STATUS" > {tmp_path}/status'
    assert notify_end(run, Targets(urls=(webhook.url(),), events=("failed",), on_end=command)) == ""
    assert (tmp_path / "status").read_text() == "done\n"
    assert webhook.received == []


def test_command_gets_the_run_and_a_session_of_its_own(tmp_path, monkeypatch, impatient):
    monkeypatch.setenv("CNN_TUI_NOTIFY_URL", "https://example.org/T0PSECRET")
    run = golden_run(tmp_path, "completed")
    write_marks(run, Marks(name="größe"))
    values = tmp_path / "values"
    session = f"{sys.executable} -c 'import os; print(os.getsid(0))'"
    command = f"env > {values}.new; {session} >> {values}.new; mv {values}.new {values}; "
    waits = f"echo started; until [ -e {tmp_path}/end ]; do sleep 0.05; done; rm {tmp_path}/end"
    assert (
        notify_end(run, Targets(on_end=command + waits)) == ""
    )  # it goes on, and that is no error
    wait_until(values.exists)
    text = values.read_text()
    assert "T0PSECRET" not in text
    found = dict(line.partition("=")[::2] for line in text.splitlines())
    assert found["CNN_TUI_RUN"] == run.id
    assert found["CNN_TUI_NAME"] == "größe"
    assert found["CNN_TUI_DIR"] == str(run.path)
    assert (found["CNN_TUI_STATUS"], found["CNN_TUI_EXIT_CODE"]) == ("done", "0")
    state, _ = read_state(run)
    assert float(found["CNN_TUI_TEST_ACCURACY"]) == state.test.accuracy
    assert found["CNN_TUI_ERROR"] == ""
    assert int(text.splitlines()[-1]) != os.getsid(0)
    assert run.console.read_text() == "started\n"
    (tmp_path / "end").touch()
    wait_until(lambda: not (tmp_path / "end").exists())


def test_lost_run_is_reported_as_failed(tmp_path, webhook):
    run = golden_run(tmp_path, "completed")
    lines = run.events.read_text().splitlines(keepends=True)
    run.events.write_text("".join(lines[:20]))
    write_targets(run, Targets(urls=(webhook.url(),)))
    assert notify_lost(run, "training was ended by signal 9 (Killed)", 137) == ""
    fields = webhook.received[0].fields
    assert (fields["event"], fields["exit_code"]) == ("failed", 137)
    assert "Error: training was ended by signal 9 (Killed)" in fields["text"]


def test_unreadable_targets_are_one_notice(tmp_path):
    run = golden_run(tmp_path, "completed")
    (run.path / "notify.json").write_text("{}")
    state, _ = read_state(run)
    (run.path / "notify.json").chmod(0o777)  # as on a file system without modes
    assert "is not private" in Notifier(run).end(state, state.finished)
    command = Targets(on_end=f"touch {tmp_path}/executed")
    assert Notifier(run, command).end(state, state.finished) == ""
    assert (tmp_path / "executed").exists()


def test_a_few_alarms_are_sent_each_once(tmp_path, webhook):
    run = golden_run(tmp_path, "completed")
    write_targets(run, Targets(urls=(webhook.url(),)))
    state, _ = read_state(run)
    notifier = Notifier(run)

    def alarm(kind, severity="warning"):
        return AlarmRaised(alarm=kind, severity=severity, text=f"It is {kind}", advice="Do it")

    notifier.observe(alarm("plateau"), state)
    notifier.observe(alarm("plateau"), state)
    notifier.observe(alarm("overfitting"), state)  # too soon
    for number in range(20):
        notifier.observe(alarm(f"error {number}", "error"), state)
    end = RunFinished(status="detached", exit_code=0, seconds=1.0)
    assert notifier.end(state, end) == ""
    received = webhook.wait_for(5)
    assert [item.fields["alarm"] for item in received] == [
        "plateau",
        *(f"error {number}" for number in range(4)),
    ]


# Texts.


def test_text_tells_figures_error_and_commands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = golden_run(Path("runs"), "completed")
    state, _ = read_state(run)
    text = end_message(state, run, state.finished).text
    assert text.splitlines()[0].startswith("baseline (digits, 1124-0412-amber) is done after ")
    assert "Test accuracy " in text
    assert "(95% interval " in text
    assert f"Best epoch {state.best.epoch}: validation loss " in text
    assert text.splitlines()[-1] == f"Show it in {tmp_path}: cnn-tui show {run.id}"
    failed = RunFinished(status="failed", exit_code=4, seconds=61.0, error="it\x1b[2J\n broke")
    message = end_message(state, run, failed)
    lines = message.text.splitlines()
    assert "failed in epoch" in lines[0]
    assert lines[1] == "Error: it[2J broke"
    assert lines[-2] == f"Resume it in {tmp_path}: cnn-tui resume {run.id}"
    assert message.fields["resume"] == f"cnn-tui resume {run.id}"
    json.dumps(message.fields, allow_nan=False)
    alarm = AlarmRaised(alarm="spike", severity="error", text="A spike", advice="Lower the rate")
    message = alarm_message(state, run, alarm)
    assert message.text.splitlines()[1] == "Lower the rate."
    assert f"cnn-tui watch {run.id}" in message.text
