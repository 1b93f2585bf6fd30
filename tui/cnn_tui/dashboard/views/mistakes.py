"""3: which images were mistaken, and for what."""

from pathlib import Path

from textual.app import ComposeResult
from textual.message import Message

from cnn_engine.errors import UserError
from cnn_engine.results.mistakes import FILE, Mistake, read_mistakes
from cnn_engine.runlog.events import TestFinished
from cnn_engine.runlog.state import RunState
from cnn_engine.runs.directory import RunDirectory
from cnn_tui.dashboard.keys import bindings_for
from cnn_tui.dashboard.views.view import View
from cnn_tui.dashboard.widgets.mistake_grid import ClassPair, MistakeGrid
from cnn_tui.exports.mistakes import write_mistakes
from cnn_tui.live.watched_file import WatchedFile


class MistakesView(View):
    """Pictures of the most confident mistakes, all or those of a pair of classes."""

    BINDINGS = bindings_for("mistakes")

    class Told(Message):
        """There is something to say for a while."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def __init__(self, run: RunDirectory, *, id: str) -> None:  # noqa: A002 - Textual's name for it
        super().__init__(id=id)
        self._run = run
        self._state: RunState | None = None
        self._test: TestFinished | None = None
        self._file: WatchedFile[list[Mistake]] | None = None

    def compose(self) -> ComposeResult:
        """The panel."""
        yield MistakeGrid()

    @property
    def _grid(self) -> MistakeGrid:
        return self.query_one(MistakeGrid)

    def show(self, state: RunState) -> None:
        """Show the pictures of the test that the state now tells of."""
        self._state, grid = state, self._grid
        self._look(state.test)
        grid.mistakes = self._file.value or () if self._file else ()
        grid.error = self._file.error if self._file else ""
        grid.has_colors = self.app.can_draw_images  # type: ignore[attr-defined]
        super().show(state)

    def _look(self, test: TestFinished | None) -> None:
        """Read the file, once there is a test, and again when either has changed."""
        if test is not self._test:
            self._test, self._file = test, None
            if test is not None:
                read = lambda _: read_mistakes(self._run, test)  # noqa: E731 - of this test
                self._file = WatchedFile(self._run.path / FILE, read)
        if self._file is not None:
            self._file.refresh()

    def choose(self, truth: int, predicted: int) -> None:
        """Show those of a pair alone; of a class and itself, all that it is taken for."""
        grid = self._grid
        grid.pair, grid.selected, grid.is_enlarged = ClassPair(truth, predicted), 0, False
        grid.redraw()

    def back(self) -> bool:
        """From one picture to the grid, and from a pair to all."""
        grid = self._grid
        if not grid.is_enlarged and grid.pair is None:
            return False
        if grid.is_enlarged:
            grid.is_enlarged = False
        else:
            grid.pair, grid.selected = None, 0
        grid.redraw()
        return True

    def action_move(self, columns: int, rows: int) -> None:
        """Choose another picture."""
        self._grid.move(columns, rows)

    def action_page(self, pages: int) -> None:
        """Choose one on another page."""
        self._grid.page(pages)

    def action_enlarge(self) -> None:
        """Show the chosen picture alone, or the grid again."""
        self._grid.is_enlarged = not self._grid.is_enlarged
        self._grid.redraw()

    def action_all(self) -> None:
        """Show the mistakes of all classes."""
        self._grid.pair, self._grid.selected = None, 0
        self._grid.redraw()

    def action_export(self) -> None:
        """Write all mistakes as CSV into the working directory."""
        path = Path(f"{self._run.id}-mistakes.csv").absolute()
        try:
            count = write_mistakes(self._run, self._state or RunState(), path)
        except UserError as error:
            self.post_message(self.Told(str(error)))
        else:
            self.post_message(self.Told(f"{count:,} mistakes are in {path}"))
