"""Real commands without a terminal, or on a pseudo-terminal with an emulator."""

import ctypes
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pyte

from prepared import can_copy, environment, start_copy
from runs_for_tests import SMALL

CLI = [sys.executable, "-c", "from cnn_tui.main import main; main()"]
SET_SMALL = [argument for key in SMALL for argument in ("--set", key)]
ENDLESS_RUN = ["run", "digits", "--epochs", "100000", *SET_SMALL]
RESTORE_SEQUENCES = (
    *(b"\x1b[?1049l", b"\x1b[?25h", b"\x1b[?2004l", b"\x1b[?1004l", b"\x1b[?7h", b"\x1b[<u"),
    *(b"\x1b[?1000l", b"\x1b[?1003l", b"\x1b[?1006l", b"\x1b[?1015l"),
)


def cnn_tui(
    *arguments: object, cwd: Path | None = None, **changes: str
) -> subprocess.CompletedProcess[str]:
    """Run a command without a terminal and return its result."""
    return subprocess.run(
        [*CLI, *map(str, arguments)],
        check=False,
        capture_output=True,
        text=True,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        env=environment(**changes),
        timeout=250,
    )


DROP_DAC_OVERRIDE = (24, 1, 0, 0, 0)
"""Arguments of `prctl` that make root obey file modes in the next program (PR_CAPBSET_DROP)."""


def without_title(output: bytes) -> bytes:
    """Return output to a terminal without the sequences that set its title and restore it."""
    return re.sub(rb"\x1b\[2[23];0t|\x1b\]2;[^\x07]*\x07", b"", output)


class Terminal:
    """A command on its own pseudo-terminal, with an emulated screen.

    A program of Python runs in a copy of a process that has loaded the libraries; a command that
    starts with another one, such as `env`, in a new process.
    """

    def __init__(
        self,
        *arguments: str,
        cwd: Path,
        size: tuple[int, int] = (120, 36),
        command: list[str] | None = None,
        blocked: tuple[signal.Signals, ...] = (),
        obeys_modes: bool = False,
    ) -> None:
        columns, rows = size
        self.screen = pyte.Screen(columns, rows)
        self.raw = b""
        self._stream = pyte.ByteStream(self.screen)
        self._exit_code: int | None = None
        command = command or [*CLI, *arguments]
        if not obeys_modes and can_copy(command):
            self._descriptor, other_end = pty.openpty()
            copy = start_copy(command, cwd, other_end, blocked)
            os.close(other_end)
            self.pid, self._wait = copy.pid, copy.wait
        else:
            self.pid, self._descriptor = pty.fork()
            if self.pid == 0:
                os.chdir(cwd)
                signal.pthread_sigmask(signal.SIG_BLOCK, blocked)
                # As in a terminal, also where the tests are a background job, which ignores it.
                signal.signal(signal.SIGINT, signal.SIG_DFL)
                if obeys_modes:
                    ctypes.CDLL(None).prctl(*DROP_DAC_OVERRIDE)
                os.execvpe(command[0], command, environment())
            self._wait = lambda: os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        self.resize(columns, rows)

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *_: object) -> None:
        # Kill the process group, as a run survives its terminal and its supervisor.
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        if self._exit_code is None:
            self._exit_code = self._wait()
        self.hang_up()

    def hang_up(self) -> None:
        """Close the terminal, like a closed window."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def resize(self, columns: int, rows: int) -> None:
        """Change the size of the terminal."""
        size = struct.pack("HHHH", rows, columns, 0, 0)
        fcntl.ioctl(self._descriptor, termios.TIOCSWINSZ, size)
        self.screen.resize(rows, columns)

    def press(self, keys: str) -> None:
        """Type the keys."""
        os.write(self._descriptor, keys.encode())

    def kill(self, number: int) -> None:
        """Send a signal to the program."""
        os.kill(self.pid, number)

    def show(self, text: str) -> None:
        """Write to the screen, like another program on the terminal."""
        self._stream.feed(text.encode())

    @property
    def text(self) -> str:
        """Text on the screen."""
        screen, columns = self.screen, range(self.screen.columns)
        lines = (screen.buffer[row] for row in range(screen.lines))
        # Without `Screen.display`, which measures each character: the cell after a wide one is "".
        return "\n".join("".join(line[x].data for x in columns).rstrip() for line in lines)

    @property
    def settings(self) -> list[object]:
        """Settings of the terminal: echo, line mode etc."""
        return termios.tcgetattr(self._descriptor)

    def wait_for(self, expected: str | Callable[[str], bool], seconds: float = 60.0) -> str:
        """Read until the text is on the screen, and return the screen."""
        test = expected if callable(expected) else lambda text: expected in text
        deadline = time.monotonic() + seconds
        while not test(self.text):
            if time.monotonic() > deadline or not self._read():
                raise AssertionError(f"never saw {expected!r}; the screen was:\n{self.text}")
        return self.text

    def read(self, seconds: float) -> bytes:
        """Read for a time and return the new bytes."""
        known, deadline = len(self.raw), time.monotonic() + seconds
        while time.monotonic() < deadline and self._read():
            pass
        return self.raw[known:]

    def wait(self, seconds: float = 90.0) -> int:
        """Read until the program ends and return its exit code, negative for a signal."""
        deadline = time.monotonic() + seconds
        while self._descriptor >= 0 and self._read():
            if time.monotonic() > deadline:
                raise AssertionError(f"did not end; the screen was:\n{self.text}")
        self._exit_code = self._wait()
        return self._exit_code

    def _read(self) -> bool:
        """Read new output, if any; return False after the program has closed the terminal."""
        ready, _, _ = select.select([self._descriptor], [], [], 0.1)
        if not ready:
            return True
        try:
            content = os.read(self._descriptor, 65536)
        except OSError:
            return False
        self.raw += content
        self._stream.feed(content)
        return bool(content)


def assert_restored(terminal, before):
    """Assert that screen, cursor, mouse, keyboard and settings of the terminal are restored."""
    for sequence in RESTORE_SEQUENCES:
        assert terminal.raw.rindex(sequence) > terminal.raw.index(b"\x1b[?1049h")
    assert terminal.settings == before
    assert terminal.settings[3] & termios.ECHO


def text_after_exit(terminal):
    """Return the text after the dashboard has left the screen."""
    text = terminal.raw.rpartition(b"\x1b[?1049l")[2].decode()
    return re.sub(r"\x1b\[[0-9;?]*[a-z]", "", text)
