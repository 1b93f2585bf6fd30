"""A log of another program, from which series are read."""

from pathlib import Path
from typing import Protocol

from cnn_engine.importers.series import Series
from cnn_engine.importers.settings import Settings
from cnn_engine.progress import Progress, no_progress


class Source(Protocol):
    """A log of another program, which may be growing."""

    path: Path

    @property
    def steps_are_epochs(self) -> bool:
        """True if the steps of all series are epochs."""
        ...

    @property
    def steps_per_epoch(self) -> float:
        """Steps of an epoch by the columns of the log; 0 if they do not tell."""
        ...

    def settings(self) -> Settings:
        """Return the settings of the other program; empty if they are not known."""
        ...

    def poll(self, *, ended: bool = False, report: Progress = no_progress) -> bool:
        """Read what has changed since the last call; return True if anything may have.

        Args:
            ended: True to read also a last line that may be incomplete.
            report: Receives the progress.

        Raises:
            DataError: the format is not supported.
            OSError: it cannot be read at the moment.
        """
        ...

    def series(self) -> dict[str, Series]:
        """Return the series by name, as a new read of the whole log would."""
        ...

    def notices(self) -> list[str]:
        """Return texts to report at once, such as restarts."""
        ...

    def problems(self) -> list[str]:
        """Return texts to report at the end, such as damaged parts."""
        ...
