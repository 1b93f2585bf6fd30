"""URLs of messages, and the private file of a run that keeps them."""

import shutil

import pytest

from cnn_engine.errors import ConfigError, StorageError
from cnn_engine.notifications.targets import (
    NO_TARGETS,
    Targets,
    read_targets,
    targets_of_environment,
    write_targets,
)
from cnn_engine.notifications.urls import check_url, masked_url, masked_words
from cnn_engine.runs.directory import RunDirectory, create_run

SECRET = "T0PSECRET"  # noqa: S105 - in no real URL


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        (SECRET, "not a URL"),
        (f"ftp://example.org/{SECRET}", "only http, https and ntfy"),
        (f"file:///etc/{SECRET}", "no valid host"),
        (f"https:///{SECRET}", "no valid host"),
        (f"https://example.org:port/{SECRET}", "no valid host"),
        (f"https://[::1/{SECRET}", "no valid host"),
        (f"https://example.org/{SECRET} x", "spaces"),
        (f"https://example.org/{SECRET}\r\nX: y", "spaces"),
        ("https://hooks.slack.com/…", "is masked"),
        ("ntfy://example.org/", "has no topic"),
        (f"https://{SECRET}@", "no valid host"),
    ],
)
def test_wrong_urls_are_refused_without_showing_secrets(url, reason):
    with pytest.raises(ConfigError, match=reason) as error:
        check_url(url)
    assert str(error.value).startswith("--notify")
    assert SECRET not in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (f"https://hooks.slack.com/services/{SECRET}", "https://hooks.slack.com/…"),
        (f"https://me:{SECRET}@ntfy.example.org:8443/{SECRET}", "https://ntfy.example.org:8443/…"),
        (f"ntfy://ntfy.sh/{SECRET}", "ntfy://ntfy.sh/…"),
        (f"http://[::1]:80/{SECRET}?x={SECRET}#{SECRET}", "http://[::1]:80/…"),
        (SECRET, "…"),
        (f"https://{SECRET}\x1b[2J/", "…"),
    ],
)
def test_masked_url_shows_the_host_only(url, shown):
    assert masked_url(url) == shown


def test_recorded_command_lines_have_no_secrets():
    url, masked = f"https://example.org/{SECRET}", "https://example.org/…"
    words = ["run", "--notify", url, f"--notify={url}", "--on-end", SECRET, f"--on-end={SECRET}"]
    assert masked_words(words) == (
        *("run", "--notify", masked, f"--notify={masked}", "--on-end", "…", "--on-end=…"),
    )
    assert masked_words(["--notify", "off", "x"]) == ("--notify", "off", "x")
    assert masked_words(["run", "--notify"]) == ("run", "--notify")


def test_targets_are_kept_in_a_private_file(tmp_path):
    run, targets = create_run(tmp_path), Targets(urls=("http://h/x",), on_end="true")
    write_targets(run, targets)
    path = run.path / "notify.json"
    assert path.stat().st_mode & 0o777 == 0o600
    assert read_targets(run) == targets
    assert "http" not in repr(targets)
    moved = RunDirectory(run.path.rename(tmp_path / "moved"))
    assert read_targets(moved) == targets
    write_targets(moved, NO_TARGETS)
    assert read_targets(moved) == NO_TARGETS
    assert list(moved.path.iterdir()) == []


def test_targets_that_others_may_have_written_are_ignored(tmp_path):
    """A command in a downloaded run must not be executed when the run is resumed."""
    run = create_run(tmp_path)
    write_targets(run, Targets(on_end="true"))
    shutil.copytree(run.path, tmp_path / "copy")
    with pytest.raises(StorageError, match="copied from another run; give --notify"):
        read_targets(RunDirectory(tmp_path / "copy"))
    path = run.path / "notify.json"
    path.chmod(0o644)
    with pytest.raises(StorageError, match="not private"):
        read_targets(run)
    path.chmod(0o600)
    for damaged in (b"", b"[]", b"{}", b'{"directory": 1}', b"[" * 9999):
        path.write_bytes(damaged)
        with pytest.raises(StorageError, match="ignored, as it"):
            read_targets(run)


def test_environment_names_targets():
    environment = {
        "CNN_TUI_NOTIFY_URL": " http://h/x ntfy://h/y http://h/x",
        "CNN_TUI_NOTIFY_EVENTS": "failed, alarm",
        "CNN_TUI_NOTIFY_ON_END": "true",
    }
    targets = targets_of_environment(environment)
    urls = ("http://h/x", "ntfy://h/y")
    assert targets == Targets(urls=urls, events=("failed", "alarm"), on_end="true")
    assert targets_of_environment({}) == NO_TARGETS
    with pytest.raises(ConfigError, match="CNN_TUI_NOTIFY_EVENTS 'no': expected one or more"):
        targets_of_environment({"CNN_TUI_NOTIFY_EVENTS": "no"})
