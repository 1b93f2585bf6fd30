"""Commands about a run to suggest to the user."""

from cnn_engine.runs.directory import RunDirectory, is_default_runs_dir
from cnn_engine.system.program import shell_command


def command_for(command: str, run: RunDirectory, *options: str) -> str:
    """Return the shell command for a run, such as `cnn-tui resume 1124-0412-amber`.

    Args:
        command: Name of a command, and the option for the run if it has one: `run --like`.
        run: The run.
        *options: Further words.
    """
    words = [*command.split(), run.id, *options]
    if not is_default_runs_dir(run.path.parent):
        words += ["--runs-dir", str(run.path.parent)]
    return shell_command(*words)
