"""Parts of events in words."""

from cnn_engine.runlog.events import (
    CommandApplied,
    EpochFinished,
    RolledBack,
    RunPrepared,
    RunResumed,
    TestFinished,
)
from cnn_tui.text.numbers import decimal, percent
from cnn_tui.text.safe import safe_text

STAGES = {
    "torch": "Loading PyTorch",
    "data": "Loading images",
    "model": "Building the model",
    "test": "Testing the best checkpoint",
}
"""Names of the stages before and after training."""


def device_text(prepared: RunPrepared) -> str:
    """Return the device by name; of a processor also how many threads compute."""
    threads = f" ×{prepared.threads}" if prepared.device == "cpu" else ""
    return safe_text(f"{prepared.device_name}{threads}", 120)


def val_loss_text(epoch: EpochFinished) -> str:
    """An epoch's validation loss; a dash where the validation images were not looked at."""
    return decimal(epoch.val_loss if epoch.is_validated else None)


def tta_text(test: TestFinished) -> str | None:
    """`with test-time augmentation (mirror): 90.80%`; None without it."""
    if test.tta_accuracy is None:
        return None
    return f"with test-time augmentation ({safe_text(test.tta)}): {percent(test.tta_accuracy, 2)}"


COMMANDS = {
    "pause": "paused",
    "unpause": "continuing",
    "stop": "stopping",
    "stop-epoch": "stopping after this epoch",
    "checkpoint": "checkpoint",
    "lr": "learning rate",
    "epochs": "epochs",
    "detach": "detaching",
}
"""Text of each command that has been carried out."""


def command_text(command: CommandApplied) -> str:
    """`learning rate 0.0003 (key)`."""
    value = "" if command.value is None else f" {command.value:g}"
    what = COMMANDS.get(command.command, safe_text(command.command))
    return f"{what}{value} ({safe_text(command.by, 20)})"


def resumed_text(event: RunResumed) -> str:
    """`resumed in epoch 3 after step 120, from last.pt`."""
    if not event.seconds:  # by a process that was started for it, before it had begun elsewhere
        return "begun in the background"
    if not event.file:
        return "resumed from the beginning, as there was no checkpoint yet"
    return f"resumed {_place(event.epoch, event.step)}, from {safe_text(event.file)}"


def rolled_back_text(event: RolledBack) -> str:
    """`before epoch 3, learning rate 0.0005: training loss became nan …`."""
    where = _place(event.epoch, event.step)
    return f"{where}, learning rate {event.lr:g}: {safe_text(event.reason, 500)}"


def _place(epoch: int, step: int) -> str:
    return f"in epoch {epoch} after step {step}" if step else f"before epoch {epoch}"
