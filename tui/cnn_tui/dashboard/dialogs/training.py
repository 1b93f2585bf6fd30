"""The questions about a run that is training."""

from cnn_tui.dashboard.dialogs.choice import Answer, ChoiceDialog
from cnn_tui.dashboard.dialogs.value import ValueDialog
from cnn_tui.text.parse import parse_epochs, parse_lr


def lr_dialog(lr: float | None) -> ValueDialog[float]:
    """Return the question for a learning rate; `lr` is the current one."""
    value = "" if lr is None else f"{lr:.4g}"
    return ValueDialog("Learning rate", "Used from the next step on.", value, parse_lr)


def epochs_dialog(current: int, total: int | None) -> ValueDialog[int]:
    """Return the question for the total number of epochs.

    Args:
        current: The current epoch, which is the least possible answer.
        total: The number that is planned now; None if it is not known.
    """

    def read(text: str) -> int:
        epochs = parse_epochs(text)
        if epochs < current:
            raise ValueError(f"Epoch {current} is running: enter {current} or more.")
        return epochs

    explanation = "Raise it to train longer; set it to the current epoch to stop after it."
    return ValueDialog("Total epochs", explanation, str(total or ""), read)


def stop_dialog() -> ChoiceDialog:
    """Return the question when to stop; its answers are commands, or empty."""
    return ChoiceDialog(
        "Stop training?",
        "The model is saved either way, and the test is skipped. After this epoch, it is "
        "also validated.",
        Answer("y", "Stop now", "stop"),
        Answer("e", "After this epoch", "stop-epoch"),
        Answer("n", "Keep training", ""),
    )


def quit_dialog() -> ChoiceDialog:
    """Return the question before quitting ends the training; its answers are commands, or empty."""
    return ChoiceDialog(
        "Quit?",
        "This terminal is training the run. Stopped, it is saved after this batch and can be "
        "resumed; detached, it trains on in the background, and any terminal can watch it.",
        Answer("y", "Stop and save", "stop"),
        Answer("d", "Detach and keep training", "detach"),
        Answer("n", "Cancel", ""),
    )
