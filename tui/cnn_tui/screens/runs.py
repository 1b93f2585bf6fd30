"""The runs there are, to choose one from."""

from pathlib import Path

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.coordinate import Coordinate
from textual.screen import Screen
from textual.widgets import DataTable, Static

from cnn_engine import runs
from cnn_engine.runs import RunDirectory
from cnn_engine.state import RunState
from cnn_engine.summary import RunSummary, read_summary
from cnn_tui.format import safe_text
from cnn_tui.keys import bindings_of
from cnn_tui.run_columns import COLUMNS
from cnn_tui.screens.help import Help
from cnn_tui.screens.run import RunScreen
from cnn_tui.widgets.key_bar import KeyBar
from cnn_tui.widgets.run_header import BADGES

REFRESH_SECONDS = 2.0


class RunsScreen(Screen[None]):
    """A table of runs, newest first; Enter opens one."""

    BINDINGS = bindings_of("runs")

    DEFAULT_CSS = """
    RunsScreen {
        #title {
            height: 1;
            padding: 0 1;
            background: $panel;
        }
        DataTable {
            margin: 1 1 0 1;
            height: 1fr;
            background: $background;
        }
        #empty {
            margin: 2 4;
            color: $muted;
            display: none;
        }
        &.-empty {
            DataTable { display: none; }
            #empty { display: block; }
        }
    }
    """

    def __init__(self, runs_dir: Path) -> None:
        super().__init__()
        self._runs_dir = runs_dir

    def compose(self) -> ComposeResult:
        """A title, the table, the keys."""
        title = Text.assemble(
            ("cnn-tui", "bold"), f"  runs in {safe_text(str(self._runs_dir), 500)}"
        )
        yield Static(title, id="title")
        yield DataTable[Text](cursor_type="row")
        yield Static("No runs yet. Leave with q, then start one:\n\n  cnn-tui run", id="empty")
        yield KeyBar("runs")

    def on_mount(self) -> None:
        """Fill the table, and keep it fresh."""
        self.query_one(DataTable).add_columns(
            *(Text(column.heading, justify=column.justify) for column in COLUMNS)
        )
        self.query_one(KeyBar).show(RunState())
        self._refresh_table()
        self.set_interval(REFRESH_SECONDS, self._refresh_table)

    def _refresh_table(self) -> None:
        table = self.query_one(DataTable)
        summaries = [read_summary(run) for run in runs.all_runs(self._runs_dir)]
        self.set_class(not summaries, "-empty")
        shown = [key.value for key in table.rows]
        if shown != [summary.run_id for summary in summaries]:
            table.clear()
            for summary in summaries:
                table.add_row(*_cells(summary), key=summary.run_id)
            return
        for row, summary in enumerate(summaries):
            for column, cell in enumerate(_cells(summary)):
                if table.get_cell_at(Coordinate(row, column)) != cell:
                    table.update_cell_at(Coordinate(row, column), cell)

    def action_open(self) -> None:
        """Open the run under the cursor."""
        self.query_one(DataTable).action_select_cursor()

    def action_help(self) -> None:
        """Show what the keys do."""
        self.app.push_screen(Help("runs"))

    @on(KeyBar.Clicked)
    async def _clicked(self, event: KeyBar.Clicked) -> None:
        await self.run_action(event.key.action)

    @on(DataTable.RowSelected)
    def _row_selected(self, event: DataTable.RowSelected) -> None:
        if event.row_key.value is not None:
            run = RunDirectory(self._runs_dir / event.row_key.value)
            self.app.push_screen(RunScreen(run))


def _cells(run: RunSummary) -> list[Text]:
    cells = [column.cell(run) for column in COLUMNS]
    glyph, _ = BADGES[run.status]
    cells[1] = f"{glyph} {run.status}"
    return [Text(cell, justify=column.justify) for cell, column in zip(cells, COLUMNS, strict=True)]
