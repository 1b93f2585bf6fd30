"""Shell commands to suggest."""

import shlex

from cnn_engine.runs.directory import RunDirectory, default_runs_dir
from cnn_tui.text.safe import safe_text


def command_for(command: str, run: RunDirectory) -> str:
    """Return the shell command for a run, such as `cnn-tui resume 1124-0412-amber`.

    Args:
        command: Name of a command, and the option for the run if it has one: `run --like`.
        run: The run.
    """
    words = ["cnn-tui", *command.split(), run.id]
    if run.path.parent != default_runs_dir():
        words += ["--runs-dir", str(run.path.parent)]
    return safe_text(shlex.join(words), 1000)
