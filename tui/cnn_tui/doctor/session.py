"""Checks of the session: multiplexers, SSH, mosh, and what a logout ends."""

import getpass
import os
import re
from contextlib import suppress
from pathlib import Path

import psutil

from cnn_tui.doctor.check import Check
from cnn_tui.doctor.multiplexers import Multiplexer
from cnn_tui.text.shell import shell_command

LOGIND = (Path("/etc/systemd/logind.conf"), *Path("/etc/systemd/logind.conf.d").glob("*.conf"))
"""Settings of logins."""

KILLS = re.compile(r"^\s*KillUserProcesses\s*=\s*(yes|true|on|1)\s*$", re.MULTILINE | re.IGNORECASE)

LINGER = Path("/var/lib/systemd/linger")
"""Directory with a file for each user whose processes outlive their last session."""


def check_session(multiplexer: Multiplexer) -> Check:
    """Return the check.

    Args:
        multiplexer: The multiplexer around this program.
    """
    is_mosh, is_ssh = _is_mosh(), bool(os.environ.get("SSH_CONNECTION"))
    remote = "mosh" if is_mosh else "SSH" if is_ssh else ""
    inner = f"{multiplexer.name} {multiplexer.version}".strip()
    value = " over ".join(filter(None, (inner, remote))) or "local"
    facts = {
        "multiplexer": multiplexer.name or None,
        "multiplexer_version": multiplexer.version or None,
        "remote": remote.lower() or None,
        "logout_kills": _logout_kills(),
    }
    if facts["logout_kills"]:
        value += "; a logout ends your processes, also runs in the background"
        advice = "keep them: loginctl enable-linger"
        return Check("session", value, "warning", advice, facts=facts)
    if multiplexer.name == "tmux" and not os.environ.get("TERM", "").startswith(("tmux", "screen")):
        value += f", with TERM={os.environ.get('TERM', '')}"
        advice = "leave TERM to tmux: set -g default-terminal tmux-256color in .tmux.conf"
        return Check("session", value, "warning", advice, facts=facts)
    if is_mosh:
        advice = (
            "mosh shows no notifications and, before 1.4, neither 16 million colours nor copies"
        )
        return Check("session", value, "ok", advice, facts=facts)
    if is_ssh and not multiplexer.name:
        watch = shell_command("watch")
        advice = f"training continues if the connection is lost; open it again with: {watch}"
        return Check("session", value, "ok", advice, facts=facts)
    return Check("session", value, facts=facts)


def _is_mosh() -> bool:
    """Return True if mosh has started the shell around this program."""
    with suppress(psutil.Error):
        return any(parent.name() == "mosh-server" for parent in psutil.Process().parents())
    return False


def _logout_kills() -> bool:
    """Return True if systemd is set to end a user's processes at the logout."""
    with suppress(OSError, KeyError):  # without systemd; a user without an entry
        if (LINGER / getpass.getuser()).exists():
            return False
    for file in LOGIND:
        with suppress(OSError, UnicodeDecodeError):
            if KILLS.search(file.read_text()):
                return True
    return False
