"""Environment variables of notifications. Imports nothing: the settings read it at each start."""

URL_VARIABLE, EVENTS_VARIABLE = "CNN_TUI_NOTIFY_URL", "CNN_TUI_NOTIFY_EVENTS"
COMMAND_VARIABLE = "CNN_TUI_NOTIFY_ON_END"
"""Receivers of messages about the runs of training loops: URLs and events, with spaces between, and
the command. For cnn-tui's own runs the settings have them."""

STATUS_VARIABLE = "CNN_TUI_STATUS"

FIELDS = {
    "CNN_TUI_RUN": "run",
    "CNN_TUI_NAME": "name",
    "CNN_TUI_PRESET": "preset",
    STATUS_VARIABLE: "event",
    "CNN_TUI_EXIT_CODE": "exit_code",
    "CNN_TUI_TITLE": "title",
    "CNN_TUI_TEXT": "text",
    "CNN_TUI_ERROR": "error",
    "CNN_TUI_DIR": "directory",
    "CNN_TUI_HOST": "host",
    "CNN_TUI_SECONDS": "seconds",
    "CNN_TUI_EPOCHS": "epochs_done",
    "CNN_TUI_BEST_EPOCH": "best_epoch",
    "CNN_TUI_VAL_LOSS": "val_loss",
    "CNN_TUI_VAL_ACCURACY": "val_accuracy",
    "CNN_TUI_TEST_LOSS": "test_loss",
    "CNN_TUI_TEST_ACCURACY": "test_accuracy",
    "CNN_TUI_SHOW": "show",
    "CNN_TUI_RESUME": "resume",
}
"""Variables of the command of `--on-end`, with the field of the message that each contains."""
