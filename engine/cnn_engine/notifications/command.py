"""Executes the command of `--on-end`, which may outlive the run's process."""

import os
import subprocess
from contextlib import ExitStack

from cnn_engine.notifications.message import Message
from cnn_engine.runs.directory import RunDirectory

SECRETS = ("CNN_TUI_NOTIFY", "CNN_TUI_ON_END")
"""Environment variables that are not for the command."""

VARIABLES = {
    "CNN_TUI_RUN": "run",
    "CNN_TUI_NAME": "name",
    "CNN_TUI_PRESET": "preset",
    "CNN_TUI_STATUS": "event",
    "CNN_TUI_EXIT_CODE": "exit_code",
    "CNN_TUI_TITLE": "title",
    "CNN_TUI_TEXT": "text",
    "CNN_TUI_ERROR": "error",
    "CNN_TUI_DIR": "directory",
    "CNN_TUI_HOST": "host",
    "CNN_TUI_SECONDS": "seconds",
    "CNN_TUI_EPOCHS": "epochs_done",
    "CNN_TUI_BEST_EPOCH": "best_epoch",
    "CNN_TUI_VAL_LOSS": "val_loss",
    "CNN_TUI_VAL_ACCURACY": "val_accuracy",
    "CNN_TUI_TEST_LOSS": "test_loss",
    "CNN_TUI_TEST_ACCURACY": "test_accuracy",
    "CNN_TUI_SHOW": "show",
    "CNN_TUI_RESUME": "resume",
}
"""Environment variables of the command, with the field of the message that each contains."""


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
    values = {name: message.fields.get(key) for name, key in VARIABLES.items()}
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
