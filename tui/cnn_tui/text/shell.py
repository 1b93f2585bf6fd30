"""Shell commands to suggest."""

from cnn_engine.runs import hints
from cnn_engine.runs.directory import RunDirectory
from cnn_engine.system import program
from cnn_tui.text.safe import escaped


def command_for(command: str, run: RunDirectory, *options: str) -> str:
    """Return the shell command for a run as safe text: `cnn-tui resume 1124-0412-amber`.

    Args:
        command: Name of a command, and the option for the run if it has one: `run --like`.
        run: The run.
        *options: Further words.
    """
    return escaped(hints.command_for(command, run, *options), 4000)


def shell_command(*words: str) -> str:
    """Return the shell command with these words after the program, as safe text."""
    return escaped(program.shell_command(*words), 4000)
