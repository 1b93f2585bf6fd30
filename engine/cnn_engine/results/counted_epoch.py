"""The validation in a run's log that a result file belongs to."""

from cnn_engine.runlog.events import EpochFinished, TestFinished
from cnn_engine.runlog.state import RunState

UNKNOWN_VALIDATION = "belongs to a validation that the run's log does not have, or that was undone"


def counted_epoch(state: RunState, epoch: int) -> EpochFinished | None:
    """Return a validated epoch, with its confusion if the state keeps it; None if unknown."""
    if state.best is not None and state.best.epoch == epoch:
        return state.best
    validated = reversed(state.validated_epochs)
    return next((finished for finished in validated if finished.epoch == epoch), None)


def has_confusion(counts: TestFinished | EpochFinished) -> bool:
    """Return False if the state has dropped the confusion of an epoch, to save memory."""
    return bool(counts.confusion) or isinstance(counts, TestFinished)
