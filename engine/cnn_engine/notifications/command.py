"""Executes the command of `--on-end`, which may outlive the run's process."""

import os
import subprocess
from contextlib import ExitStack

from cnn_engine.notifications.message import Message
from cnn_engine.notifications.variables import COMMAND_VARIABLE, FIELDS, URL_VARIABLE
from cnn_engine.runs.directory import RunDirectory

SECRETS = (URL_VARIABLE, COMMAND_VARIABLE)
"""Variables that the command does not get."""


def execute(command: str, message: Message, run: RunDirectory) -> str:
    """Execute a shell command in a session of its own, and wait for it.

    Its output goes to the run's console log.

    Args:
        command: The command.
        message: Its fields become environment variables; an unknown value is an empty one.
        run: The run.

    Returns:
        The reason why it failed; empty if it ended with exit code 0.
    """
    values = {name: message.fields.get(key) for name, key in FIELDS.items()}
    environment = {name: value for name, value in os.environ.items() if name not in SECRETS}
    environment |= {name: "" if value is None else str(value) for name, value in values.items()}
    with ExitStack() as stack:
        try:
            output = stack.enter_context(run.console.open("ab"))
        except OSError:  # the directory is gone, or the disk is read-only
            output = stack.enter_context(open(os.devnull, "wb"))  # noqa: PTH123 - a device
        try:
            process = subprocess.Popen(  # noqa: S602 - the user's own command line
                command,
                shell=True,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            return str(error)
    code = process.wait()
    if code == 0:
        return ""
    cause = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
    return f"{cause}, see {run.console}"
