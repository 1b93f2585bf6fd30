"""Finds the checkpoint that an ended run resumes from."""

from cnn_engine.checkpoints.format import (
    DAMAGED_FILE,
    LAST_FILE,
    FoundCheckpoint,
    find_newest,
)
from cnn_engine.errors import ConfigError, StorageError
from cnn_engine.runlog.events import Notice
from cnn_engine.runlog.state import RunState
from cnn_engine.runs.directory import RunDirectory
from cnn_engine.runs.hints import command_for, how_to_resume
from cnn_engine.runs.recorder import Recorder


def find_checkpoint(
    state: RunState, run: RunDirectory, epochs: int | None
) -> FoundCheckpoint | None:
    """Return the checkpoint to resume from; None if there is none and training starts again.

    Args:
        state: The run's state.
        run: The run.
        epochs: New total number of epochs; None to keep it.

    Raises:
        ConfigError: there is nothing to resume, another program trains the run, or a newer version
            wrote the checkpoint.
        DataError: there are checkpoints, but all are damaged.
        StorageError: a checkpoint cannot be read.
    """
    if state.started is None:
        raise ConfigError(f"run {run.id}: its log does not contain a config; start a new run")
    if not state.is_own:
        raise ConfigError(f"run {run.id}: another program trains it; {how_to_resume(state, run)}")
    done = len(state.epochs)
    if epochs is not None and epochs <= done:
        raise ConfigError(f"--epochs {epochs}: {done} are done already; use a larger number")
    # A run that several processes are to train longer has more epochs in its log already.
    if epochs is None and state.phase == "done" and state.total_epochs <= done:
        raise ConfigError(
            f"run {run.id}: is done, after {done} epochs; to train longer: "
            f"{command_for('resume', run, '--epochs', str(done + 1))}"
        )
    return find_newest(run.path)


def set_damaged_aside(found: FoundCheckpoint, recorder: Recorder) -> None:
    """Record damaged newer checkpoints, and rename `last.pt` so that it does not become the backup.

    Raises:
        StorageError: it cannot be renamed.
    """
    for text in found.damaged:
        recorder.record(Notice(text=f"{text}; resuming from {found.path.name} instead"))
    damaged = found.path.with_name(LAST_FILE)
    if found.damaged:
        try:
            damaged.replace(found.path.with_name(DAMAGED_FILE))
        except OSError as error:
            raise StorageError(f"{damaged}: cannot be renamed: {error.strerror}") from None
