"""The base of the views of a run."""

from typing import ClassVar

from textual.containers import Container

from cnn_engine.runlog.state import RunState
from cnn_tui.dashboard.keys import Key
from cnn_tui.dashboard.widgets.panel import Panel


class View(Container, can_focus=True):
    """Panels, and the keys that work while they are shown."""

    has_files: ClassVar[bool] = False
    """True if the view shows files other than the log."""

    is_read = True
    """False as long as the view's files were not read yet."""

    def read(self, state: RunState) -> None:
        """Read the view's files for the next `show`; called in a thread."""

    def show(self, state: RunState) -> None:
        """Show the run's state in every panel."""
        for panel in self.query(Panel):
            panel.show(state)

    def label(self, key: Key) -> str:
        """Return the word for a key of the view, which may depend on its state."""
        return key.label

    def is_useless(self, key: Key) -> bool:  # noqa: ARG002 - for views whose keys need files
        """Return True if all that a key of the view does is to report what it lacks."""
        return False

    def back(self) -> bool:
        """Close a mode of the view, such as a search; return False if none is open."""
        return False
