"""Checks of the installed software: this program, Python, PyTorch, extras."""

import platform
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from cnn_engine.errors import ConfigError
from cnn_engine.system.installation import extra_command, find_installation, install_command
from cnn_engine.system.torch_report import TorchReport
from cnn_tui.doctor.check import Check
from cnn_tui.doctor.gpu import GET_STARTED
from cnn_tui.settings import load_settings
from cnn_tui.settings.load import DEFAULT
from cnn_tui.text.shell import shell_command

EXTRAS = {
    "export": ("export of models to ONNX and safetensors", ("onnx", "onnxscript", "safetensors")),
    "gpu": ("load of an NVIDIA GPU", ("pynvml",)),
}
"""Purpose and modules of each extra that a user may want."""


def check_software(report: TorchReport | str) -> Iterator[Check]:
    """Yield the checks.

    Args:
        report: Report of PyTorch, or the reason why there is none.
    """
    yield _program()
    yield _python()
    yield _torch(report)
    yield _torchvision(report)
    has_cuda = not isinstance(report, str) and bool(report.cuda and report.devices)
    yield _extra("export", is_wanted=True)
    yield _extra("gpu", is_wanted=has_cuda)
    yield _settings()


def _program() -> Check:
    manager, source, is_editable = find_installation()
    origin = f"{source}{' (editable)' * is_editable}" if source else "a package index"
    value = f"{_version('cnn-tui')}, installed with {manager} from {origin}"
    facts = {"version": _version("cnn-tui"), "manager": manager, "source": source or None}
    return Check("cnn-tui", value, facts=facts | {"is_editable": is_editable})


def _python() -> Check:
    implementation, number = platform.python_implementation(), platform.python_version()
    name = "" if implementation == "CPython" else f" ({implementation})"
    facts = {"version": number, "executable": sys.executable}
    return Check("Python", f"{number}{name}, {sys.executable}", facts=facts)


def _torch(report: TorchReport | str) -> Check:
    found = _version("torch")
    if isinstance(report, str):
        value = f"{found}: {report}" if found else "not installed"
        again = " again" if found else ""
        advice = f"install it{again} with: {install_command('torch', 'torchvision')}"
        facts = {"version": found or None, "built_for": None}
        return Check("PyTorch", value, "error", advice, ConfigError.exit_code, facts)
    build = "CPU"
    if report.cuda or report.rocm:
        build = f"CUDA {report.cuda}" if report.cuda else f"ROCm {report.rocm}"
    facts = {"version": found, "built_for": build}
    return Check("PyTorch", f"{found}, built for {build}", facts=facts)


def _torchvision(report: TorchReport | str) -> Check:
    found = _version("torchvision")
    facts = {"version": found or None}
    if isinstance(report, str) or not report.torchvision_error:
        return Check("torchvision", found or "not installed", facts=facts)
    # Only the model "torchvision" and the download of CIFAR-10 need it.
    value = f"{found}: {report.torchvision_error}" if found else "not installed"
    release = _matching_release(_version("torch"))
    if found and found.startswith(release):
        advice = f"it is of another build than PyTorch; install both from one index: {GET_STARTED}"
    else:
        command = install_command(f"torchvision=={release}*")
        advice = f"install the release for this PyTorch: {command}"
    return Check("torchvision", value, "warning", advice, facts=facts)


def _matching_release(torch: str) -> str:
    """Return the start of torchvision's version for a version of PyTorch: `0.26.` for 2.11.0."""
    _, minor, *_ = torch.split(".")
    return f"0.{int(minor) + 15}."


def _extra(extra: str, *, is_wanted: bool) -> Check:
    purpose, modules = EXTRAS[extra]
    missing = [name for name in modules if find_spec(name) is None]
    facts = {"missing": missing}
    if not missing:
        return Check(f"extra {extra}", f"installed: {purpose}", facts=facts)
    advice = f"for the {purpose}: {extra_command(extra, *missing)}" if is_wanted else ""
    return Check(
        f"extra {extra}", f"not installed: {', '.join(missing)}", advice=advice, facts=facts
    )


def _settings() -> Check:
    loaded = load_settings()
    path, problems = str(loaded.file.path), loaded.problems
    facts = {"path": path, "problems": problems}
    if problems:
        advice = "correct them with: " + shell_command("settings", "edit")
        return Check("settings", "; ".join(problems), "warning", advice, facts=facts)
    changed = sum(source != DEFAULT for source in loaded.sources.values())
    value = f"{path}, {changed} setting{'s' * (changed != 1)} changed"
    return Check("settings", value if changed else f"all are the defaults; {path}", facts=facts)


def _version(name: str) -> str:
    """Return the version of an installed distribution; empty if it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
