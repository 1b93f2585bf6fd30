"""Commands about a run to suggest to the user."""

from pathlib import Path

from cnn_engine.runlog.state import RunState
from cnn_engine.runs.directory import RunDirectory, is_default_runs_dir
from cnn_engine.system.program import shell_command


def command_for(command: str, run: RunDirectory, *options: str) -> str:
    """Return the shell command for a run, such as `cnn-tui resume 1124-0412-amber`.

    Args:
        command: Name of a command, and the option for the run if it has one: `run --like`.
        run: The run.
        *options: Further words.
    """
    return command_in(run.path.parent, *command.split(), run.id, *options)


def how_to_resume(state: RunState, run: RunDirectory) -> str:
    """Return what resumes an ended run, as a phrase: a command, or another program."""
    if state.imported:
        return "resume it with the program that trained it"
    if state.loop:
        return f'run its own script again with cnn_tui.init(resume="{run.id}")'
    return f"resume it with: {command_for('resume', run)}"


def how_to_stop(state: RunState, run: RunDirectory) -> str:
    """Return the way to stop a running run, as a phrase: a command, or the process to end."""
    if state.is_own or (state.loop and "stop" in state.loop.commands):
        return f"stop it first: {command_for('stop', run)}"
    session = state.resumed or state.started
    process = f" (process {session.pid} on {session.host})" if session else ""
    return f"end its program first{process}"


def how_to_start(runs_dir: Path | None) -> str:
    """Return what starts the first run of a directory, as a phrase that ends with a command."""
    return (
        "add import cnn_tui to a training loop of your own, or start a run of cnn-tui with: "
        f"{command_in(runs_dir, 'run')}"
    )


def command_in(runs_dir: Path | None, *words: str) -> str:
    """Return the shell command with these words for a directory of runs; None for the default."""
    is_default = runs_dir is None or is_default_runs_dir(runs_dir)
    place = [] if is_default else ["--runs-dir", str(runs_dir)]
    return shell_command(*words, *place)
