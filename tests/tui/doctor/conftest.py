"""A report of PyTorch without loading it again."""

import json
from importlib.resources import files
from types import SimpleNamespace

import jsonschema
import pytest
from msgspec.structs import replace

from cnn_engine.system.torch_report import TorchReport
from cnn_tui.doctor import checks as doctor_checks

VARIABLES = (
    *("TMUX", "STY", "ZELLIJ", "SSH_CONNECTION", "LC_ALL", "LC_CTYPE", "COLORTERM", "NO_COLOR"),
    *("TERM_PROGRAM", "LC_TERMINAL", "KITTY_WINDOW_ID", "WT_SESSION", "VTE_VERSION", "FORCE_COLOR"),
)
"""Variables of the terminal in which the tests run."""

REPORT = TorchReport(
    load_seconds=1.0,
    cuda="",
    rocm="",
    devices=[],
    device_warnings=[],
    cpu_capability="AVX2",
    has_onednn=True,
    precision="fp32",
    torchvision_error="",
)


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def reported(monkeypatch):
    """Return a function that sets the report of PyTorch, by changes or as a reason for none."""

    def report(reason=None, **changes):
        found = reason or replace(REPORT, **changes)
        probe = SimpleNamespace(report=lambda: found, stop=lambda: None)
        monkeypatch.setattr(doctor_checks, "TorchProbe", lambda: probe)

    report()
    return report


@pytest.fixture
def checks(run_cli, reported, tmp_path):
    """Return a function that runs `doctor --json`: exit code, and the checks by name.

    The output is validated against its schema.
    """
    schema = json.loads(files("cnn_tui.doctor").joinpath("doctor.schema.json").read_text())

    def run(*arguments):
        code, out, errors = run_cli("doctor", "--json", *arguments, cwd=tmp_path)
        result = json.loads(out)
        jsonschema.validate(result, schema)
        assert (result["exit_code"], errors) == (code, "")
        return code, {check["name"]: check for check in result["checks"]}

    return run
