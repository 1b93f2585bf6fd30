"""View 3: the misclassified images."""

from dataclasses import dataclass
from pathlib import Path

from textual import getters, work
from textual.app import ComposeResult
from textual.message import Message

from cnn_engine.errors import UserError
from cnn_engine.results.mistakes import MISTAKES_FILE, Mistake, read_mistakes
from cnn_engine.runlog.events import TestFinished
from cnn_engine.runlog.state import RunState
from cnn_engine.runs.directory import RunDirectory
from cnn_tui.dashboard.keys import bindings_for
from cnn_tui.dashboard.views.view import View
from cnn_tui.dashboard.widgets.mistake_grid import ClassPair, MistakeGrid
from cnn_tui.exports.mistakes import write_mistakes
from cnn_tui.live.threads import in_thread
from cnn_tui.live.watched_file import WatchedFile


class MistakesView(View):
    """The most confident mistakes: all, or those in a cell of the confusion matrix."""

    BINDINGS = bindings_for("mistakes")
    has_files = True
    is_read = False
    grid = getters.query_one(MistakeGrid)

    @dataclass
    class Exported(Message):
        """An export has finished or failed."""

        text: str
        """The result, for the user."""

    def __init__(self, run: RunDirectory, *, id: str) -> None:  # noqa: A002 - Textual's name for it
        super().__init__(id=id)
        self._run = run
        self._state: RunState | None = None
        self._test: TestFinished | None = None
        self._file: WatchedFile[list[Mistake]] | None = None

    def compose(self) -> ComposeResult:
        """Yield the panel."""
        yield MistakeGrid(has_colors=self.app.can_draw_images)  # type: ignore[attr-defined]

    def show(self, state: RunState) -> None:
        """Show the mistakes of the run's test."""
        self._state = state
        self.grid.mistakes = self._file.value or () if self._file else ()
        self.grid.error = self._file.error if self._file else ""
        super().show(state)

    def read(self, state: RunState) -> None:
        """Read the file once there is a test, and again when the test or the file has changed."""
        test = state.test
        file = self._file if test is self._test else None
        if test is not None:
            read = lambda _: read_mistakes(self._run, test)  # noqa: E731 - bound to this test
            file = file or WatchedFile(self._run.path / MISTAKES_FILE, read)
            file.refresh()
        self._test, self._file, self.is_read = test, file, True

    def show_pair(self, target: int, predicted: int) -> None:
        """Show the mistakes of one cell; with two equal classes, all mistakes of the class."""
        self.grid.show_pair(ClassPair(target, predicted))
        self.refresh_bindings()

    def back(self) -> bool:
        """Return to the grid, or from a pair to all mistakes; return False if already there."""
        view = self.grid.view
        if view.is_enlarged:
            self.grid.set_enlarged(False)
        elif view.pair is not None:
            self.grid.show_pair(None)
        else:
            return False
        self.refresh_bindings()
        return True

    def action_move(self, columns: int, rows: int) -> None:
        """Select another picture."""
        self.grid.move(columns, rows)

    def action_page(self, pages: int) -> None:
        """Select a picture some pages away."""
        self.grid.page(pages)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """Return None for what needs images without any, and for `show_all` if all are shown."""
        is_disabled = (action in ("enlarge", "move", "page") and not self.grid.filtered) or (
            action == "show_all" and self.grid.view.pair is None
        )
        return None if is_disabled else True

    def action_enlarge(self) -> None:
        """Show the selected picture alone, or the grid again."""
        self.grid.set_enlarged(not self.grid.view.is_enlarged)

    def action_show_all(self) -> None:
        """Show the mistakes of all classes."""
        self.grid.show_pair(None)
        self.refresh_bindings()

    @work
    async def action_export(self) -> None:
        """Write all mistakes as CSV into the working directory."""
        path = Path(f"{self._run.id}-mistakes.csv").absolute()
        state = self._state or RunState()
        try:
            count = await in_thread(lambda: write_mistakes(self._run, state, path))
        except UserError as error:
            self.post_message(self.Exported(str(error)))
        else:
            self.post_message(self.Exported(f"{count:,} mistakes written to {path}"))
