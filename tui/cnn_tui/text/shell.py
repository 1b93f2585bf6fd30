"""Shell commands to suggest."""

import shlex

from cnn_engine.runs.directory import RunDirectory, default_runs_dir
from cnn_tui.text.safe import safe_text


def command_for(command: str, run: RunDirectory) -> str:
    """`cnn-tui resume 1124-0412-amber`: what to type to do that with the run.

    Args:
        command: A command's name, perhaps with an option that takes the run: `run --like`.
        run: Which run.
    """
    words = ["cnn-tui", *command.split(), run.id]
    if run.path.parent != default_runs_dir():
        words += ["--runs-dir", str(run.path.parent)]
    return safe_text(shlex.join(words), 1000)
