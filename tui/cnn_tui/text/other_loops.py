"""Texts about runs that cnn-tui does not train itself: imports, and other training loops."""

from cnn_engine.runlog.state import RunState
from cnn_engine.runs.commands import Name
from cnn_engine.tracking.loop_control import MISSING, WITH_OTHERS
from cnn_tui.text.numbers import rate
from cnn_tui.text.safe import safe_text

ACTIONS: dict[Name, str] = {
    "pause": "pause",
    "unpause": "pause",
    "stop": "stop",
    "stop-epoch": "stop after an epoch",
    "stop-test": "stop and test",
    "checkpoint": "save a checkpoint",
    "lr": "change the learning rate",
    "epochs": "change the number of epochs",
    "detach": "continue in the background",
}
"""Verb phrase for each command."""


def missing_text(state: RunState, what: str) -> str:
    """Return why a run has no data of some kind; empty if cnn-tui trains it.

    Args:
        state: State of the run.
        what: The kind of data, such as `layers`.
    """
    if state.imported:
        return f"no {what}: an import has only what the other program logs"
    return f"no {what}: another training loop logs this run" if state.loop else ""


def speed_text(state: RunState) -> str:
    """Return `1,234 img/s`; of another loop, whose data may be others, samples or steps per second.

    Empty while the speed is unknown.
    """
    images = state.images_per_second
    if images is not None:
        return f"{images:,.0f} img/s" if state.is_own else f"{rate(images)} samples/s"
    steps = state.steps_per_second if state.loop else None
    return "" if steps is None else f"{rate(steps)} steps/s"


def checkpoint_time(state: RunState) -> str:
    """Return when a checkpoint that is asked for now is saved: `after this batch`."""
    if state.loop is None:
        return "after this batch"
    moment = "in a later step" if state.loop.framework else "when the loop reads run.should_save"
    return f"after the pause, {moment}" if state.paused else moment


def refusal_text(state: RunState, command: Name) -> str:
    """Return the reason why a run obeys no such command; empty if it does, were it running."""
    if state.imported:
        return "This run is trained elsewhere and cannot be controlled"
    if state.loop is None or command in state.loop.commands:
        return ""
    if not state.loop.framework:  # its author can change it
        reasons = MISSING | WITH_OTHERS if state.processes > 1 else MISSING
        return f"This run cannot {ACTIONS[command]}: {reasons[command]}"
    offered = dict.fromkeys(ACTIONS[name] for name in ACTIONS if name in state.loop.commands)
    others = f"; it can {', '.join(offered)}" if offered else ""
    framework = safe_text(state.loop.framework, 60)
    return f"The loop of {framework} cannot {ACTIONS[command]}{others}"
