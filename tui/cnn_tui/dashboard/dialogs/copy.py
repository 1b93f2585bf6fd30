"""The dialog that selects a text about a run to copy."""

from cnn_engine.runs.directory import RunDirectory
from cnn_tui.dashboard.dialogs.choice import Answer, ChoiceDialog
from cnn_tui.text.shell import command_for


def copy_dialog(run: RunDirectory, error: str) -> ChoiceDialog:
    """Return the dialog about what to copy; its result is the text.

    Args:
        run: The run.
        error: The error that ended the run; empty if there is none.
    """
    texts = {
        "Run id": run.id,
        "Directory": str(run.path.absolute()),
        "Command to open it": command_for("watch", run),
        "Command to resume it": command_for("resume", run),
        "Error": error,
    }
    return ChoiceDialog(
        "Copy",
        "To the clipboard, if the terminal supports it (OSC 52). Text selected with the mouse is "
        "copied without this question.",
        *(
            Answer(str(number), label, text)
            for number, (label, text) in enumerate(texts.items(), 1)
            if text
        ),
    )
