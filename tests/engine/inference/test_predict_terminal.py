"""`cnn-tui predict` on a terminal, in a pipe, and interrupted."""

import json
import re
import signal
import subprocess
import sys

from terminal import CLI, Terminal, environment


def test_terminal_shows_pictures_and_bars(pets, monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    arguments = ("predict", "latest", "photos/test/cat/00.jpg", "photos/test")
    with Terminal(*arguments, cwd=pets[0], size=(80, 24)) as terminal:
        terminal.wait_for("Loading PyTorch")
        terminal.wait_for("41 images classified")
        assert terminal.wait() == 0
    output = terminal.raw.decode()
    assert "photos/test/dog/19.jpg" in output
    assert "▀" in output
    assert "━" in output
    assert "matches the folder name" in output
    assert max(len(line.rstrip()) for line in terminal.screen.display) <= 80


PREDICT = ["predict", "latest", "photos/test/cat/00.jpg"]


def assert_plain(output):
    assert b"00.jpg" in output
    assert b"\x1b[3" not in output
    assert "▀" not in output.decode()


def test_plain_lines_in_a_locale_without_unicode(pets, monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    with Terminal(cwd=pets[0], command=["env", "LC_ALL=C", *CLI, *PREDICT]) as terminal:
        assert terminal.wait() == 0
    assert_plain(terminal.raw)


FOR_EACH_LINE = """
import json, os, sys
import cnn_engine.inference.predict, cnn_engine.inference.trained, cnn_engine.runs.summary
import cnn_tui.cli.app, cnn_tui.reports.predictions
from cnn_tui.main import main
for line in sys.stdin:
    changes, arguments = json.loads(line)
    if os.fork() == 0:
        os.environ.update(changes)
        sys.argv = ["cnn-tui", *arguments]
        main()
    print("ended with", os.waitstatus_to_exitcode(os.wait()[1]), flush=True)
"""
"""Runs commands in processes that have loaded PyTorch already."""

END = rb"ended with \d+\r\n"


def test_plain_lines_without_pictures(pets, monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    program = [sys.executable, "-c", FOR_EACH_LINE]
    with Terminal(cwd=pets[0], size=(80, 24), command=program) as terminal:
        for arguments, changes, size in (
            (["--no-pictures"], {}, (80, 24)),
            ([], {"NO_COLOR": "1"}, (80, 24)),
            ([], {"TERM": "dumb"}, (80, 24)),
            ([], {}, (30, 12)),
        ):
            known = len(terminal.raw)
            terminal.resize(*size)
            terminal.press(json.dumps([changes, PREDICT + arguments]) + "\n")
            terminal.wait_for(lambda _, known=known: re.search(END, terminal.raw[known:]))
            output = terminal.raw[known:].partition(b"]\r\n")[2]  # without the echo of the line
            assert_plain(output)
            assert b"ended with 0\r\n" in output


def start_predict(pets):
    """Start a process that classifies files listed on its stdin."""
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    command = [*CLI, "predict", "latest", "--top", "1", "-"]
    return subprocess.Popen(command, cwd=pets[0], env=environment(), **pipes)


def test_interrupt_keeps_the_lines_printed_so_far(pets):
    names = b"photos/test/cat/00.jpg\n" * 300_000
    process = start_predict(pets)
    process.stdin.write(names)
    process.stdin.close()
    process.stdin = None
    assert process.stdout.readline().endswith(b"photos/test/cat/00.jpg\n")
    process.send_signal(signal.SIGINT)
    rest, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert rest[-1:] in (b"", b"\n")
    assert errors.startswith(b"cnn-tui: interrupted; ")
    assert errors.count(b"\n") == 1


def test_closed_pipe_is_no_error(pets):
    names = b"photos/test/cat/00.jpg\n" * 20_000
    process = start_predict(pets)
    process.stdin.write(names)
    process.stdin.close()
    assert process.stdout.readline()
    process.stdout.close()
    errors = process.stderr.read()
    process.stderr.close()
    process.wait(60)
    assert b"Traceback" not in errors
    assert b"Exception" not in errors
