"""A run in a few words, for the title and the progress bar of a terminal."""

import time
from typing import Literal, NamedTuple, TypeAlias

from cnn_engine.runlog.events import Event, RunFinished
from cnn_engine.runlog.state import RunState
from cnn_tui.text.numbers import percent
from cnn_tui.text.safe import safe_text

Bar: TypeAlias = Literal["none", "normal", "error", "unknown", "paused"]
"""Look of a progress bar; `unknown`: in progress, for an unknown time."""

MAX_NAME = 40

RECENT_SECONDS = 60.0
"""Age up to which the end of a run is worth a notification."""


class RunStatus(NamedTuple):
    """State of a run, as a terminal shows it beside the screen."""

    title: str
    bar: Bar
    percent: int
    """0 to 100; 0 if unknown."""


def run_status(
    state: RunState, prefix: str = "", *, is_followed: bool = True, is_dead: bool = False
) -> RunStatus:
    """Return the status of a run.

    Args:
        state: The run.
        prefix: Words before its name.
        is_followed: False for a run that has ended before it was opened.
        is_dead: True if it has not ended, but no process trains it.
    """
    fraction = _fraction(state)
    done = 0 if fraction is None else min(99, int(100 * fraction))
    label = f"{prefix} {_name(state)}".strip()
    if is_dead:
        return RunStatus(f"interrupted {label}", "none", 0)
    if state.has_ended:
        accuracy = f" {percent(state.test.accuracy, 1)}" if state.test else ""
        bar: Bar = "error" if state.phase == "failed" and is_followed else "none"
        return RunStatus(f"{state.phase}{accuracy} {label}", bar, done)
    if state.phase == "queued":
        return RunStatus(f"queued {label}", "none", 0)
    if state.paused:
        return RunStatus(f"paused {label}", "paused", done)
    if fraction is None or state.phase == "starting":
        return RunStatus(f"{state.phase} {label}", "unknown", 0)
    return RunStatus(f"{done}% {label}", "normal", done)


def has_just_ended(event: Event) -> bool:
    """Return True if an event is the end of a run, and not of one that ended long ago."""
    is_end = isinstance(event, RunFinished) and event.status != "detached"
    return is_end and time.time() - event.time < RECENT_SECONDS


def end_text(state: RunState) -> str:
    """Return `baseline: done, test accuracy 97.21%`."""
    result = f", test accuracy {percent(state.test.accuracy, 2)}" if state.test else ""
    error = safe_text(state.finished.error, 200) if state.finished else ""
    return f"{_name(state)}: {state.phase}{f', {error}' if error else result}"


def _name(state: RunState) -> str:
    started = state.started
    name = (started.name or state.preset or started.run_id) if started else "cnn-tui"
    return safe_text(name, MAX_NAME)


def _fraction(state: RunState) -> float | None:
    """Return the finished part of the training, 0 to 1; None if its length is unknown."""
    if not state.total_epochs:
        return None
    steps = state.total_epochs * state.steps_per_epoch
    return state.steps_done / steps if steps else len(state.epochs) / state.total_epochs
