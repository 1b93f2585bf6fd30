"""Errors that a user can fix, each with a one-line message and an exit code."""

from typing import ClassVar


class UserError(Exception):
    """An error that the user can fix. `str(error)` names the file, key or value, and a fix."""

    exit_code: ClassVar[int] = 1


class ConfigError(UserError):
    """An invalid config, option or run name; lists every problem found."""

    exit_code = 2

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class DataError(UserError):
    """Missing, damaged or unusable images, labels or checkpoints."""

    exit_code = 3


class TrainingError(UserError):
    """Training cannot continue: a non-finite loss or weight, or out of memory."""

    exit_code = 4


class NonFiniteError(TrainingError):
    """A loss or a weight is NaN or infinite."""


class StorageError(UserError):
    """A run directory that cannot be read or written, or is locked by another process."""

    exit_code = 5


class RunsDirError(StorageError):
    """A directory in which no runs can be; its reason is for programs without `--runs-dir`."""

    def __init__(self, reason: str, what: str = "one") -> None:
        super().__init__(f"{reason}; name {what} with --runs-dir DIR")
        self.reason = reason


class NoAnswerError(UserError):
    """A command was written, but the run has not carried it out in time."""

    exit_code = 6


class RunHeldError(StorageError):
    """Another process is writing the run."""


def error_text(error: BaseException) -> str:
    """Return the class and the message of an exception in one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
