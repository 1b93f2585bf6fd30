"""Processes that need not load libraries: copies of one that has loaded them.

PyTorch alone takes seconds. The copies import this project's packages themselves, and are otherwise
like new processes of Python: arguments, environment, streams, signals, the interpreter's end.
"""

import fcntl
import gc
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import termios
from collections.abc import Sequence
from functools import cache
from io import BufferedReader, BufferedWriter, FileIO, TextIOWrapper
from pathlib import Path
from types import CodeType

LIBRARIES = (
    *("torch", "numpy", "PIL.Image", "msgspec", "psutil", "pydantic.dataclasses", "tomllib"),
    *("typer.rich_utils", "rich.table", "rich.markdown", "rich.syntax", "rich.progress"),
    *("textual.app", "textual.command", "textual.widgets", "textual.drivers.linux_driver"),
    *("textual.widgets._content_switcher", "textual.widgets._label", "concurrent.futures.thread"),
)
"""Modules that the first process loads."""

READ_LATE = {
    *("TERM", "COLUMNS", "LINES", "CI", "INSIDE_EMACS", "SHELL", "PATH", "HOME", "XDG_CACHE_HOME"),
    *("XDG_CONFIG_HOME", "XDG_DATA_HOME", "CNN_TUI_CONFIG", "CNN_TUI_TERMINAL_STATUS"),
    *("PYTEST_CURRENT_TEST", "WT_SESSION", "TERM_PROGRAM", "TMUX"),
}
"""Variables that no library reads while it is loaded."""

SET_BY_LIBRARIES = {
    *("TORCHINDUCTOR_CACHE_DIR", "PYTORCH_NVML_BASED_CUDA_CHECK", "TF_FORCE_GPU_ALLOW_GROWTH"),
    *("KMP_DUPLICATE_LIB_OK", "KMP_INIT_AT_FORK"),
}
"""Variables that Transformers, Lightning and Keras set when a test imports them; a program that a
user starts does not have them."""


def environment(**changes: str) -> dict[str, str]:
    """Return this process's environment, with the import path of the tests."""
    paths = os.pathsep.join(str(Path(path).absolute()) for path in sys.path if path)
    values = {**os.environ, "PYTHONPATH": paths, "TERM": "xterm-256color", **changes}
    dropped = {"LINES", "COLUMNS", "CI", "INSIDE_EMACS", *SET_BY_LIBRARIES} - changes.keys()
    return {key: value for key, value in values.items() if key not in dropped}


BEFORE_TESTS = environment()
"""Environment of the first process."""


class Copy:
    """A started copy."""

    def __init__(self, status: int) -> None:
        self._status = os.fdopen(status)
        self.pid = int(self._status.readline())

    def wait(self) -> int:
        """Return the exit code once it has ended, negative for a signal."""
        with self._status:
            return os.waitstatus_to_exitcode(int(self._status.readline()))


def can_copy(command: Sequence[str]) -> bool:
    """Return True if the command is one of this Python, and its environment allows a copy."""
    is_ours = command[0] == sys.executable and (command[1] == "-c" or command[1].endswith(".py"))
    differing = {name for name, _ in environment().items() ^ BEFORE_TESTS.items()}
    return is_ours and differing <= READ_LATE


def start_copy(
    command: Sequence[str], cwd: Path, terminal: int, blocked: tuple[signal.Signals, ...] = ()
) -> Copy:
    """Start a command in a copy that leads a session on a terminal.

    Args:
        command: `python -c CODE` or `python FILE.py`, with arguments.
        cwd: Its working directory.
        terminal: Descriptor of its terminal.
        blocked: Signals to block.
    """
    _, channel = _first_process()
    reader, writer = os.pipe()
    request = (command[1:], str(cwd), environment(), blocked)
    content = json.dumps(request).encode() + b"\n"
    sent = socket.send_fds(channel, [content], [terminal, writer])
    channel.sendall(content[sent:])
    os.close(writer)
    return Copy(reader)


@cache
def _first_process() -> tuple[subprocess.Popen[bytes], socket.socket]:
    """Start the process that is copied; return it with a socket to it, whose end is its end."""
    ours, theirs = socket.socketpair()
    code = f"import prepared; exec(prepared.serve({theirs.fileno()}))"
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.DEVNULL,
        pass_fds=(theirs.fileno(),),
        env=BEFORE_TESTS,
    )
    theirs.close()
    return process, ours


def serve(number: int) -> CodeType:
    """Load the libraries and start copies until the other end is closed.

    Args:
        number: Descriptor of a socket.

    Returns:
        In a copy, the code to run.
    """
    for name in LIBRARIES:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # stays shared memory
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # no zombies
    with socket.socket(fileno=number) as channel:
        while True:
            content, descriptors, *_ = socket.recv_fds(channel, 65536, 2)
            if not content:
                os._exit(0)
            while not content.endswith(b"\n"):
                content += channel.recv(65536)
            if os.fork() == 0:
                break
            for descriptor in descriptors:
                os.close(descriptor)
    terminal, status = descriptors
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    process = os.fork()
    if process:
        for descriptor in (0, 1, 2, terminal):
            os.close(descriptor)
        os.write(status, f"{process}\n".encode())
        os.write(status, f"{os.waitpid(process, 0)[1]}\n".encode())
        os._exit(0)
    os.close(status)
    return _become(*json.loads(content), terminal)


def _become(
    command: list[str], cwd: str, variables: dict[str, str], blocked: list[int], terminal: int
) -> CodeType:
    """Set this copy up like a new process; return the code to run."""
    os.setsid()
    fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
    for number in range(3):
        os.dup2(terminal, number)
        _open_stream(number)
    os.close(terminal)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(variables)
    signal.pthread_sigmask(signal.SIG_BLOCK, blocked)
    first, *arguments = command
    if first == "-c":
        code, *arguments = arguments
        sys.argv = ["-c", *arguments]
        return compile(code, "<string>", "exec")
    path = Path(first).absolute()
    sys.argv = [first, *arguments]
    sys.path[0] = str(path.parent)
    return compile(path.read_text(), str(path), "exec")


def _open_stream(number: int) -> None:
    """Open a standard stream as Python does."""
    name = ("stdin", "stdout", "stderr")[number]
    before = getattr(sys, f"__{name}__")
    file = FileIO(number, "w" if number else "r", closefd=False)
    file.name = f"<{name}>"
    is_direct = before.write_through  # PYTHONUNBUFFERED
    buffer = BufferedReader(file) if number == 0 else file if is_direct else BufferedWriter(file)
    stream = TextIOWrapper(
        buffer,
        before.encoding,
        before.errors,
        line_buffering=not is_direct,
        write_through=is_direct,
    )
    setattr(sys, name, stream)
    setattr(sys, f"__{name}__", stream)
