"""Dialogs about a running run."""

from collections.abc import Callable

from cnn_engine.runlog.state import RunState
from cnn_tui.dashboard.dialogs.choice import Answer, ChoiceDialog
from cnn_tui.dashboard.dialogs.value import ValueDialog
from cnn_tui.text.other_loops import refusal_text
from cnn_tui.text.parse import parse_epochs, parse_lr

AFTER_EPOCH = Answer("e", "After this epoch", "stop-epoch")
AND_TEST = Answer("t", "Stop and test", "stop-test")


def lr_dialog(lr: float | None) -> ValueDialog[float]:
    """Return the dialog for a learning rate; `lr` is the current one."""
    value = "" if lr is None else f"{lr:.4g}"
    return ValueDialog(
        "Learning rate", "Used from the next step on.", value, parse_lr, restrict="[0-9.eE+-]*"
    )


def epochs_dialog(current: Callable[[], int], total: int | None) -> ValueDialog[int]:
    """Return the dialog for the total number of epochs.

    Args:
        current: Returns the current epoch, which is the minimum.
        total: The current total; None if unknown.
    """

    def parse(text: str) -> int:
        epochs = parse_epochs(text)
        if epochs < (epoch := current()):
            raise ValueError(f"Epoch {epoch} is running: enter {epoch} or more.")
        return epochs

    explanation = "Raise it to train longer; set it to the current epoch to stop after it."
    return ValueDialog("Total epochs", explanation, str(total or ""), parse, restrict="[0-9]*")


def stop_dialog(state: RunState) -> ChoiceDialog:
    """Return the dialog about how to stop; its result is a command or empty."""
    explanation = (
        "The model is saved in all cases. “Stop and test” tests the best model so far; “After this "
        "epoch” finishes the epoch, then tests."
    )
    if state.loop:
        explanation = "The loop of this run ends, and its script continues after it."
    return ChoiceDialog(
        "Stop training?",
        explanation,
        Answer("y", "Stop now", "stop"),
        *([] if refusal_text(state, "stop-test") else [AND_TEST]),
        *([] if refusal_text(state, "stop-epoch") else [AFTER_EPOCH]),
        Answer("n", "Keep training", ""),
    )


class QuitDialog(ChoiceDialog):
    """Shown if quitting would end the run; its result is a command or empty."""

    def __init__(self) -> None:
        super().__init__(
            "Quit?",
            "This terminal is training the run. If you stop it, it is saved after this batch and "
            "can be resumed. If you detach it, it continues in the background.",
            Answer("y", "Stop and save", "stop"),
            Answer("d", "Detach and keep training", "detach"),
            Answer("n", "Cancel", ""),
        )
