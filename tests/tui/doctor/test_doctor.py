"""`cnn-tui doctor`: all checks, their text, and the exit code."""

import json
import runpy
import sys
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files

import jsonschema
import msgspec
import pytest
import torch

from cnn_engine.system import torch_report
from cnn_engine.system.torch_report import TorchProbe, TorchReport
from cnn_tui.doctor import software
from fresh_interpreter import TORCH_SIDE, cli_code, loaded_modules
from golden import golden_run
from terminal import Terminal

NAMES = {
    "software": "cnn-tui|Python|PyTorch|torchvision|extra export|extra gpu|settings",
    "machine": "processor|threads|memory|GPU|precision",
    "storage": "runs|image cache|temporary",
    "terminal": "terminal|size|colours|characters|mouse|clipboard|status|session",
}

NO_PROBE = """
from cnn_tui.doctor import checks
class NoProbe:
    def report(self): return "not asked"
    def stop(self): pass
checks.TorchProbe = NoProbe
"""


def test_every_ability_is_checked(checks, tmp_path, run_cli):
    golden_run(tmp_path / "runs", "completed")
    code, found = checks()
    names = {}
    for check in found.values():
        names.setdefault(check["group"], []).append(check["name"])
    assert code == 0
    assert {group: "|".join(listed) for group, listed in names.items()} == NAMES
    assert found["runs"]["facts"]["path"] == str(tmp_path / "runs")
    assert found["runs"]["facts"]["runs"] == 1
    code, out, _ = run_cli("doctor", cwd=tmp_path)
    assert code == 0
    assert out.splitlines()[0] == "Software"
    for check in found.values():
        assert check["name"] in out
        if check["name"] not in ("memory", *NAMES["storage"].split("|")):  # change in between
            assert check["value"] in " ".join(out.split())


def test_lines_fit_a_narrow_terminal_in_ascii(run_cli, reported, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("LC_ALL", "C")
    monkeypatch.setenv("TERM", "dumb")
    code, out, _ = run_cli("doctor", cwd=tmp_path)
    assert code == 0
    assert out.isascii()
    assert max(map(len, out.splitlines())) <= 40
    assert "! characters\n  ASCII, because the locale C has no\n" in out.replace(" \n", "\n")
    assert out.splitlines()[-1].endswith("could be better")


def test_schema_rejects_other_facts(checks):
    schema = json.loads(files("cnn_tui.doctor").joinpath("doctor.schema.json").read_text())
    _, found = checks()
    result = {"format_version": 1, "exit_code": 0, "checks": [found["memory"]]}
    jsonschema.validate(result, schema)
    for change in ({"facts": {}}, {"state": "bad"}, {"name": "new"}, {"group": "other"}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(result | {"checks": [found["memory"] | change]}, schema)


def test_program_of_its_own_reports_pytorch(capsys, monkeypatch):
    """`python -m cnn_engine.system.torch_probe`, without loading PyTorch a second time."""
    monkeypatch.delitem(sys.modules, torch_report.MODULE, raising=False)
    runpy.run_module(torch_report.MODULE, run_name="__main__")
    report = msgspec.json.decode(capsys.readouterr().out, type=TorchReport)
    assert report.precision in ("fp32", "bf16", "fp16")
    assert (report.torchvision_error, report.cuda) == ("", torch.version.cuda or "")


def test_pytorch_is_loaded_in_another_process_only(tmp_path):
    loaded = loaded_modules(f"{NO_PROBE}\n{cli_code('doctor')}", tmp_path)
    assert not loaded & (TORCH_SIDE - {"numpy"})


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("raise ImportError('libx.so: no such file')", "ImportError: libx.so: no such file"),
        ("import os; os.kill(os.getpid(), 4)", "loading it ended with signal 4"),
        ("import time; time.sleep(60)", "did not load within 1 s"),
        ("print('[]')", "no reason is given"),
    ],
    ids=["import", "signal", "time", "output"],
)
def test_reason_why_pytorch_cannot_be_loaded_is_found(monkeypatch, tmp_path, program, reason):
    (tmp_path / "damaged_torch.py").write_text(program)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(torch_report, "MODULE", "damaged_torch")
    monkeypatch.setattr(torch_report, "MAX_SECONDS", 1.0 if "sleep" in program else 60.0)
    assert TorchProbe().report() == reason


def test_pytorch_that_cannot_be_loaded_is_an_error(checks, reported):
    reported("ImportError: libx.so: no such file")
    code, found = checks()
    assert (code, found["PyTorch"]["state"]) == (2, "error")
    assert found["PyTorch"]["value"] == f"{version('torch')}: ImportError: libx.so: no such file"
    assert found["PyTorch"]["advice"].endswith("pip install torch torchvision")


def test_missing_pytorch_is_an_error(checks, reported, monkeypatch):
    def find(name):
        if name == "torch":
            raise PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(software, "version", find)
    reported("ModuleNotFoundError: No module named 'torch'")
    code, found = checks()
    assert (code, found["PyTorch"]["value"]) == (2, "not installed")


def test_other_release_of_torchvision_is_reported(checks, reported, monkeypatch):
    reported(torchvision_error="no operator nms")
    versions = {"torch": "2.11.1+cu130", "torchvision": "0.25.0"}
    monkeypatch.setattr(software, "version", lambda name: versions.get(name, "1"))
    code, found = checks()
    assert (code, found["torchvision"]["state"]) == (0, "warning")
    assert found["torchvision"]["advice"].endswith("'torchvision==0.26.*'")
    versions["torchvision"] = "0.26.0"
    assert "of another build than PyTorch" in checks()[1]["torchvision"]["advice"]


def test_missing_extras_are_named_with_their_command(checks, monkeypatch):
    monkeypatch.setattr(software, "find_spec", lambda name: None if name == "onnx" else object())
    _, found = checks()
    assert found["extra export"]["facts"] == {"missing": ["onnx"]}
    assert " 'onnx>=" in found["extra export"]["advice"]
    assert found["extra gpu"]["advice"] is None


def test_mistakes_in_the_settings_are_reported(checks, monkeypatch, tmp_path):
    (tmp_path / "config.toml").write_text("[display]\nthem = 'dark'\n")
    monkeypatch.setenv("CNN_TUI_CONFIG", str(tmp_path / "config.toml"))
    code, found = checks()
    assert (code, found["settings"]["state"]) == (0, "warning")
    assert (
        "display.them: unknown setting; did you mean 'display.theme'?"
        in (found["settings"]["value"])
    )


@pytest.mark.parametrize(
    ("changes", "size", "expected"),
    [
        ([], (120, 36), ["xterm-256color", "120 × 36", "256"]),
        (["COLUMNS=90"], (120, 36), ["90 × 36, but the terminal is 120 × 36", "unset COLUMNS"]),
        (["TERM=dumb"], (120, 36), ["TERM is dumb, unknown or not set"]),
        (["INSIDE_EMACS=29.1,comint"], (60, 36), ["Emacs: lines instead of a dashboard"]),
    ],
    ids=str,
)
def test_terminal_is_explained(tmp_path, changes, size, expected):
    program = f"{NO_PROBE}\nfrom cnn_tui.main import main; main()"
    command = ["env", "LANG=C.UTF-8", *changes, sys.executable, "-c", program, "doctor"]
    with Terminal(cwd=tmp_path, size=(size[0], 90), command=command) as terminal:
        terminal.resize(*size)
        assert terminal.wait() == 2
        for text in expected:
            assert text in terminal.text
