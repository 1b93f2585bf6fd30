"""Where a run that has ended, however it did, can go on."""

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
from cnn_engine.runs.recorder import Recorder


def find_checkpoint(
    state: RunState, run: RunDirectory, epochs: int | None
) -> FoundCheckpoint | None:
    """The checkpoint to go on from; None where there is none yet, so that the run begins anew.

    Args:
        state: What the run's log tells.
        run: The run.
        epochs: Epochs to train in all, if that is asked for.

    Raises:
        ConfigError: there is nothing to go on with, or a newer version wrote the checkpoint.
        DataError: there are checkpoints, and all are damaged.
        StorageError: one cannot be read.
    """
    if state.started is None:
        raise ConfigError(f"run {run.id}: its log does not tell what it trained; start a new one")
    done = len(state.epochs)
    if epochs is not None and epochs <= done:
        raise ConfigError(f"--epochs {epochs}: {done} are done already; ask for more")
    if epochs is None and state.phase == "done":
        raise ConfigError(
            f"run {run.id}: is done, after {done} epochs; to train it longer: "
            f"cnn-tui resume {run.id} --epochs {done + 1} or more"
        )
    return find_newest(run.path)


def set_damaged_aside(found: FoundCheckpoint, recorder: Recorder) -> None:
    """Say which newer checkpoint is damaged, and rename it, so that no save keeps it as good.

    Raises:
        StorageError: it cannot be renamed.
    """
    for text in found.damaged:
        recorder.record(Notice(text=f"{text}; going on from {found.path.name} instead"))
    damaged = found.path.with_name(LAST_FILE)
    if found.damaged:
        try:
            damaged.replace(found.path.with_name(DAMAGED_FILE))
        except OSError as error:
            raise StorageError(f"{damaged}: cannot be renamed: {error.strerror}") from None
