"""What the engine does between steps about what it has been asked."""

import time
from collections.abc import Callable

from cnn_engine.commands import CommandReader
from cnn_engine.events import CommandApplied
from cnn_engine.recorder import Recorder

CHECK_SECONDS = 0.05
"""How often the commands file is looked at: seldom enough to cost nothing, even in fast steps."""


class StopRequested(Exception):  # noqa: N818 - not an error: the way out of whatever is going on
    """The user asked the run to stop."""

    def __init__(self, by: str) -> None:
        super().__init__(by)
        self.by = by


class Throttle:
    """Says yes at most once in a while."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._next = time.monotonic() + seconds

    def due(self) -> bool:
        """Whether enough time has passed since the last yes."""
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + self._seconds
        return True


class Control:
    """Carries out the commands that arrive while a run goes on."""

    def __init__(self, recorder: Recorder) -> None:
        self._commands = CommandReader(recorder.run.commands)
        self._record: Callable[[CommandApplied], None] = recorder.record
        self._throttle = Throttle(CHECK_SECONDS)

    def check(self) -> None:
        """Look for commands; to be called between any two pieces of work.

        Raises:
            StopRequested: the run is to end now.
        """
        if not self._throttle.due():
            return
        for command in self._commands.poll():
            self._record(CommandApplied(command="stop", by=command.by))
            raise StopRequested(command.by)
