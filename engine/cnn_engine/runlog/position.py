"""Position of a run: its epoch, and the step within it."""


def position_of(steps: int, steps_per_epoch: int, epoch: int = 1) -> tuple[int, int]:
    """Return the epoch, counted from 1, and the steps of it that are done.

    Args:
        steps: Steps since the start of the run.
        steps_per_epoch: 0 if unknown.
        epoch: The epoch, if the steps per epoch are unknown.
    """
    if steps_per_epoch > 0:
        epoch = max(0, steps - 1) // steps_per_epoch + 1
    return epoch, steps - max(0, epoch - 1) * steps_per_epoch
