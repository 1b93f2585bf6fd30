"""Links in the documentation lead to files, its examples run, and docstrings begin plainly."""

import ast
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import torch

from cnn_engine.system.stop_signals import STOP_SIGNALS
from terminal import CLI, environment

ROOT = Path(__file__).parents[1]
PAGES = [
    *ROOT.glob("*.md"),
    *ROOT.glob(".github/*.md"),
    *(page for top in ("engine", "tui", "tests") for page in (ROOT / top).rglob("*.md")),
]
LIBRARY, CHECKPOINTS = ROOT / "tui/docs/LIBRARY.md", ROOT / "engine/docs/CHECKPOINTS.md"
SCRIPTING = ROOT / "tui/docs/SCRIPTING.md"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_relative_links_lead_to_files(page):
    links = re.findall(r"\]\(([^)#\s]+)", page.read_text())
    files = [link for link in links if "://" not in link]
    assert [link for link in files if not (page.parent / link).exists()] == []


def test_pages_with_links_are_found():
    assert {page.name for page in PAGES} >= {"README.md", "RUNS.md", "LICENSE.md"}


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_documentation_names_every_signal_that_stops_a_run(number):
    assert number.name in (ROOT / "engine/docs/RUNS.md").read_text()
    readme = (ROOT / "README.md").read_text()
    assert f"{128 + number} {number.name}" in readme or sys.platform != "linux"


def run_examples(page):
    """Run the Python blocks of a page in the working directory, and return their variables."""
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)
    scopes = []
    for number, block in enumerate(blocks, start=1):
        scope = {"__name__": "__main__"}
        exec(compile(block, f"{page.name}, example {number}", "exec"), scope)  # noqa: S102 - examples of this repository
        scopes.append(scope)
    return scopes


def test_examples_of_the_documentation_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    trained = run_examples(LIBRARY)
    output = capsys.readouterr().out
    for expected in ("done", "epoch 2: loss", "saved best.pt", "best 2"):
        assert expected in output
    assert (trained[0]["run"].commands).read_text().count("my program") == 2
    (plain,) = run_examples(CHECKPOINTS)
    images = plain["images"].permute(0, 2, 3, 1).to(torch.uint8)
    torch.testing.assert_close(plain["logits"], trained[-1]["trained"].logits(images))
    assert len(re.findall(r"^\d: \d+\.\d%$", capsys.readouterr().out, re.MULTILINE)) == 4


def test_session_of_the_page_about_scripts_runs(tmp_path, monkeypatch, capsys):
    """All blocks of `sh` are one script, whose programs are the ones of this checkout."""
    program = tmp_path / "bin/cnn-tui"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {shlex.join(CLI)} "$@"\n')
    program.chmod(0o755)
    directory = tmp_path / "session"
    directory.mkdir()
    blocks = re.findall(r"^```sh\n(.*?)^```", SCRIPTING.read_text(), re.DOTALL | re.MULTILINE)
    result = subprocess.run(
        ["sh", "-eu", "-c", "".join(blocks)],
        check=False,
        capture_output=True,
        text=True,
        cwd=directory,
        stdin=subprocess.DEVNULL,
        env=environment(PATH=f"{program.parent}:{os.environ['PATH']}"),
    )
    try:
        assert result.returncode == 0, result.stderr + (directory / "messages.txt").read_text()
    finally:
        end_background_runs(directory / "runs")
    for expected in ("exit code 2", "epoch 2 validation loss", "Overall", "stopped", "after 2"):
        assert expected in result.stdout
    monkeypatch.chdir(directory)
    run_examples(SCRIPTING)
    assert capsys.readouterr().out.startswith("done {1: ")


def end_background_runs(runs_dir):
    """Kill what a failed session has left behind."""
    for log in runs_dir.glob("*/events.jsonl"):
        events = [json.loads(line) for line in log.read_text().splitlines()]
        if not any(event["kind"] == "RunFinished" for event in events):
            with suppress(ProcessLookupError):
                os.kill(events[0]["pid"], signal.SIGKILL)


def docstrings(path):
    """Yield line number and text of the docstrings of a module, including those of fields."""
    for node in ast.walk(ast.parse(path.read_text())):
        body = getattr(node, "body", None)
        for statement in body if isinstance(body, list) else ():
            match statement:
                case ast.Expr(value=ast.Constant(value=str(text))):
                    yield statement.lineno, text.strip()


@pytest.mark.parametrize("top", ["engine", "tui", "tests"])
def test_docstrings_do_not_begin_with_a_question_word(top):
    texts = {
        f"{path.relative_to(ROOT)}:{line}": text
        for path in sorted((ROOT / top).rglob("*.py"))
        for line, text in docstrings(path)
    }
    assert texts
    question = re.compile(r"(What|How|Whether|Where|When|Why|Which|Who)\b")
    found = [f"{place}: {text}" for place, text in texts.items() if question.match(text)]
    assert found == []
