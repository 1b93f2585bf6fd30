"""Epochs and steps that a loop gives: those that no run can have are left out."""

from collections.abc import Callable, Mapping

from cnn_engine.config.limits import MAX_EPOCHS
from cnn_engine.tracking.arguments import shown
from cnn_engine.tracking.entries import Logged
from cnn_engine.tracking.position import EPOCH_NAMES, STEP_NAMES

MAX_STEP = 1 << 53
"""Greatest number of a step that is believed; axes count in floating-point numbers."""

LIMITS = dict.fromkeys(STEP_NAMES, MAX_STEP) | dict.fromkeys(EPOCH_NAMES, MAX_EPOCHS)
"""Greatest value by the name of a position."""


def without_impossible(
    entry: Logged, values: Mapping[str, float], warn: Callable[[str, str], None]
) -> tuple[Logged, Mapping[str, float]]:
    """Return a call of `log` and its numbers without steps and epochs that cannot be.

    Args:
        entry: The call.
        values: Its numbers.
        warn: Receives the subject of a problem, and its text as a sentence.
    """
    step = entry.step
    if step is not None and not 0 <= step <= MAX_STEP:
        text = f"step {shown(step)} is ignored: no run has it; steps are counted"
        warn("impossible step", text)
        entry = entry._replace(step=None)
    if LIMITS.keys().isdisjoint(values):
        return entry, values
    wrong = {
        name: values[name]
        for name, limit in LIMITS.items()
        if name in values and not 0 <= values[name] <= limit
    }
    for name, value in wrong.items():
        warn(f"impossible {name}", f"{name} {value:g} is ignored: no run has it")
    if wrong:
        values = {name: value for name, value in values.items() if name not in wrong}
    return entry, values
