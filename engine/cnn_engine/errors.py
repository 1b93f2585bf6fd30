"""Errors that a user can act on: a message of one line and an exit code."""

from typing import ClassVar


class UserError(Exception):
    """A failure the user can act on. `str(error)` names the file, key or value and the cure."""

    exit_code: ClassVar[int] = 1


class ConfigError(UserError):
    """A config, an option or a run's name that cannot be used; lists every problem found."""

    exit_code = 2

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class DataError(UserError):
    """Images, labels or checkpoints that are missing, damaged or unusable."""

    exit_code = 3


class TrainingError(UserError):
    """Training that cannot go on: a non-finite loss or weight, or no memory left."""

    exit_code = 4


class NonFiniteError(TrainingError):
    """A loss or a weight that is not a number, or infinite."""


class StorageError(UserError):
    """A run directory that cannot be read or written, or that another process holds."""

    exit_code = 5


class RunHeldError(StorageError):
    """A run that another process writes."""
