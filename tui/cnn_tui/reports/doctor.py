"""Checks of this machine and this terminal for `cnn-tui doctor`."""

import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal, NamedTuple

import psutil
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from cnn_engine.config.paths import exists, is_directory
from cnn_engine.data.cache import cache_directory
from cnn_engine.errors import ConfigError, StorageError
from cnn_engine.runs.directory import default_runs_dir, iter_runs
from cnn_engine.system.gpu_presence import may_exist
from cnn_engine.system.processor import CPU_INFO, processor_name
from cnn_engine.system.threads import choose_threads
from cnn_tui.terminal.ascii import is_ascii_only
from cnn_tui.terminal.environment import is_ci, is_plain_terminal
from cnn_tui.text.numbers import bytes_text
from cnn_tui.text.safe import escaped
from cnn_tui.text.shell import shell_command

LOW_BYTES = 1e9
"""Free memory or disk space that may not be enough."""

FEATURES = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "bf16", "sve")
"""Flags of a processor that make training faster, as `/proc/cpuinfo` names them."""

MULTIPLEXERS = {"TMUX": "tmux", "STY": "screen", "ZELLIJ": "zellij"}
"""Programs in which a terminal outlives its connection, by their variable."""

STYLES = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "error": ("✗", "bold red")}


class Check(NamedTuple):
    """Result of a check."""

    name: str
    value: str
    status: Literal["ok", "warning", "error"] = "ok"
    advice: str = ""
    """Fix to suggest; empty if nothing needs to be done."""

    exit_code: int = 0
    """Exit code of the command because of it; 0 unless it is an error."""


def find_checks(runs_dir: Path | None, report: Callable[[str], None]) -> Iterator[Check]:
    """Yield all checks.

    Args:
        runs_dir: Directory of the runs; None for the default.
        report: Called with a text before work that takes seconds.
    """
    yield Check("cnn-tui", f"{version('cnn-tui')}, Python {platform.python_version()}")
    yield (torch := _torch())
    yield _processor()
    yield _threads()
    yield _gpu(report, has_torch=torch.status != "error")
    yield _memory()
    yield _directory("runs", runs_dir or default_runs_dir(for_new_run=True), "use --runs-dir DIR")
    yield _directory("image cache", cache_directory(), "set XDG_CACHE_HOME to another directory")
    yield _terminal()
    yield _size()
    yield _colors()
    yield _characters()
    yield _session()


def print_check(console: Console, check: Check) -> None:
    """Print a check, and its advice below it."""
    mark, style = STYLES[check.status]
    text = Text.assemble((mark, style), f" {check.name:<12} ", escaped(check.value, 500))
    console.print(text)
    if check.advice:
        console.print(Padding(Text(check.advice, "italic"), (0, 0, 0, 15)))


def _torch() -> Check:
    try:
        return Check("PyTorch", version("torch"))
    except PackageNotFoundError:
        advice = "install it: https://pytorch.org/get-started/locally/"
        return Check("PyTorch", "not installed", "error", advice, ConfigError.exit_code)


def _processor() -> Check:
    try:
        words = set(CPU_INFO.read_text().split())
    except OSError:  # exists on Linux only
        return Check("processor", processor_name() or platform.machine())
    found = [name for name in FEATURES if name in words]
    name = f"{processor_name() or platform.machine()} ({', '.join(found) or 'no vector units'})"
    if platform.machine() == "x86_64" and "avx2" not in found:
        return Check(
            "processor", name, "warning", "without AVX2 training takes several times longer"
        )
    return Check("processor", name)


def _threads() -> Check:
    threads, cores = choose_threads(), psutil.cpu_count(logical=False) or os.cpu_count() or 1
    if setting := os.environ.get("OMP_NUM_THREADS"):
        text = f"{threads} of {cores} cores, because OMP_NUM_THREADS is {setting}"
        if threads > cores:
            return Check("threads", text, "warning", f"set OMP_NUM_THREADS to {cores} at most")
        return Check("threads", text)
    limited = ", limited by the CPU quota or affinity of this process" if threads < cores else ""
    return Check("threads", f"{threads} of {cores} cores{limited}")


def _gpu(report: Callable[[str], None], *, has_torch: bool) -> Check:
    if not any(map(may_exist, ("cuda", "mps"))):
        return Check("GPU", "none found; training uses the CPU")
    if not has_torch:
        return Check("GPU", "needs PyTorch", "warning")
    report("Loading PyTorch to look for the GPU")
    from cnn_engine.config.schema import TrainConfig  # noqa: PLC0415 - imports pydantic
    from cnn_engine.system.device import choose_device, device_name  # noqa: PLC0415 - PyTorch

    device = choose_device(TrainConfig())
    if device.type != "cpu":
        return Check("GPU", device_name(device))
    advice = (
        "install a build of PyTorch for it, or a newer driver: https://pytorch.org/get-started/"
    )
    return Check("GPU", "has a driver, but PyTorch cannot use it", "warning", advice)


def _memory() -> Check:
    memory = psutil.virtual_memory()
    text = f"{bytes_text(memory.available)} of {bytes_text(memory.total)} available"
    if memory.available < LOW_BYTES:
        return Check("memory", text, "warning", "close other programs, or use a smaller batch size")
    return Check("memory", text)


def _directory(name: str, directory: Path, advice: str) -> Check:
    """Check that a directory, which may not exist yet, can be written and has space."""
    path = directory.absolute()
    existing = next(parent for parent in (path, *path.parents) if exists(parent))
    if not (is_directory(existing) and os.access(existing, os.W_OK | os.X_OK)):
        return Check(name, f"{path} cannot be written", "error", advice, StorageError.exit_code)
    free = shutil.disk_usage(existing).free
    runs = sum(1 for _ in iter_runs(path))
    count = f", {runs:,} run{'s' * (runs != 1)}" if name == "runs" else ""
    text = f"{path}{count}, {bytes_text(free)} free"
    if free < LOW_BYTES:
        return Check(name, text, "warning", f"free disk space, or {advice}")
    return Check(name, text)


def _terminal() -> Check:
    """Check that a dashboard can be shown."""
    term = os.environ.get("TERM", "")
    streams = {"stdin": sys.stdin, "stdout": sys.stdout, "stderr": sys.stderr}
    if redirected := [name for name, stream in streams.items() if not stream.isatty()]:
        return Check(
            "terminal", f"{', '.join(redirected)} redirected: lines instead of a dashboard"
        )
    if not is_plain_terminal():
        return Check("terminal", term)
    if is_ci():
        return Check("terminal", "CI is set: lines instead of a dashboard")
    if "INSIDE_EMACS" in os.environ:
        advice = "for the dashboard use vterm, eat or ansi-term in Emacs, or another terminal"
        return Check("terminal", "Emacs: lines instead of a dashboard", "warning", advice)
    advice = "for the dashboard set TERM to the terminal's name, such as xterm-256color"
    return Check("terminal", "TERM is dumb, unknown or not set: only lines", "warning", advice)


def _size() -> Check:
    if not sys.stdout.isatty():
        return Check("size", "unknown, stdout is no terminal")
    columns, lines = shutil.get_terminal_size()
    text = f"{columns} × {lines}"
    if os.environ.keys() & {"COLUMNS", "LINES"} and not is_plain_terminal():
        actual = os.get_terminal_size(sys.stdout.fileno())
        if actual != (columns, lines) and all(actual):
            text += f", but the terminal is {actual.columns} × {actual.lines}"
            return Check("size", text, "warning", "unset COLUMNS LINES")
    if columns < 80 or lines < 24:
        return Check("size", text, "warning", "the dashboard shows everything from 80 × 24 on")
    return Check("size", text)


def _colors() -> Check:
    if "NO_COLOR" in os.environ:
        return Check("colours", "none, because NO_COLOR is set")
    system = Console().color_system
    if system in ("truecolor", None):
        return Check("colours", "16 million" if system else "none")
    advice = "if the terminal has more, set COLORTERM=truecolor"
    return Check("colours", "256" if system == "256" else "16", "ok", advice)


def _characters() -> Check:
    if is_ascii_only():
        advice = "for lines and pictures set a locale with UTF-8, such as LC_ALL=C.UTF-8"
        return Check("characters", "ASCII, because the locale has no UTF-8", "warning", advice)
    return Check(
        "characters", "UTF-8: ━ ● ▀ ⣿ should be a line, a dot, half a block and eight dots"
    )


def _session() -> Check:
    names = [name for variable, name in MULTIPLEXERS.items() if os.environ.get(variable)]
    if not names and os.environ.get("SSH_CONNECTION"):
        watch = shell_command("watch")
        advice = f"training continues if the connection is lost; open it again with: {watch}"
        return Check("session", "SSH", "ok", advice)
    names += ["SSH"] if os.environ.get("SSH_CONNECTION") else []
    return Check("session", " over ".join(names) or "local")
