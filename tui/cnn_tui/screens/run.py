"""One run, live or finished: everything on it is made from its log."""

import itertools

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.screen import Screen
from textual.widgets import Footer

from cnn_engine.commands import Command, send
from cnn_engine.runlog import LogReader
from cnn_engine.runs import RunDirectory
from cnn_engine.state import RunState
from cnn_tui.screens.confirm import Confirm
from cnn_tui.widgets.alert import Alert
from cnn_tui.widgets.class_grid import ClassGrid
from cnn_tui.widgets.epoch_table import EpochTable
from cnn_tui.widgets.event_list import EventList
from cnn_tui.widgets.loss_chart import LossChart
from cnn_tui.widgets.panel import Panel
from cnn_tui.widgets.run_header import RunHeader
from cnn_tui.widgets.run_progress import RunProgress
from cnn_tui.widgets.sparklines import Sparklines

POLL_SECONDS = 0.5

EVENTS_AT_ONCE = 5_000
"""Applied between two looks at the keyboard, so that a long log opens without freezing."""


class RunScreen(Screen[None]):
    """Follows a run's log and shows what it says."""

    BINDINGS = [
        Binding("s", "stop", "Stop"),
        Binding("q", "leave", "Quit"),
        Binding("escape", "leave", "Back", show=False),
        Binding("ctrl+c", "interrupt", "Interrupt", show=False, priority=True),
    ]
    AUTO_FOCUS = ""
    HORIZONTAL_BREAKPOINTS = [(0, "-slim"), (70, "-narrow"), (100, "-wide")]
    VERTICAL_BREAKPOINTS = [(0, "-low"), (18, "-short"), (30, "-tall")]

    def __init__(self, run: RunDirectory, *, trains_here: bool = False) -> None:
        """Show a run.

        Args:
            run: Where its log is.
            trains_here: Whether this very process trains it, so that leaving would end it.
        """
        super().__init__()
        self.state = RunState()
        self._run_directory = run
        self._trains_here = trains_here
        self._reader = LogReader(run.events)
        self._events = self._reader.poll()
        self._stop_asked = False
        self._was_over = False
        self._leave_when_ended = False

    def compose(self) -> ComposeResult:
        """Facts on top; curve and classes on the left, epochs and events on the right."""
        yield RunHeader()
        yield RunProgress()
        yield Alert()
        with Horizontal(id="body"):
            with Vertical(id="left"):
                yield LossChart()
                yield Sparklines()
                yield ClassGrid()
            with Vertical(id="right"):
                yield EpochTable()
                yield EventList()
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Start to follow."""
        self._poll()
        self.set_interval(POLL_SECONDS, self._poll)

    def _poll(self) -> None:
        """Take in what is new in the log, and show it."""
        batch = list(itertools.islice(self._events, EVENTS_AT_ONCE))
        for event in batch:
            self.state.apply(event)
        if len(batch) == EVENTS_AT_ONCE:
            self.call_later(self._poll)
            return
        self._events = self._reader.poll()
        self._show()
        if self.state.ended and self._leave_when_ended:
            self._leave()

    def _show(self) -> None:
        header = self.query_one(RunHeader)
        header.overridden_status = self._status_beside_the_log()
        if self._is_over != self._was_over:
            self._was_over = self._is_over
            self.refresh_bindings()
        for panel in self.query(Panel):
            panel.show(self.state)

    def _status_beside_the_log(self) -> str:
        started = self.state.started
        if self._trains_here or started is None or self.state.ended:
            return "stopping" if self._stop_asked else ""
        if not self._run_directory.is_live(started.host):
            return "interrupted"
        return "stopping" if self._stop_asked else ""

    @property
    def _is_over(self) -> bool:
        return self.state.ended or self._status_beside_the_log() == "interrupted"

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """Offer to stop only what runs."""
        return not (action == "stop" and self._is_over)

    def action_stop(self) -> None:
        """Ask whether to stop, and stay."""
        self._ask_to_stop(by="key", leave=False)

    def action_leave(self) -> None:
        """Leave; where that would end the run, ask first."""
        if self._trains_here and not self._is_over:
            self._ask_to_stop(by="key", leave=True)
        else:
            self._leave()

    def action_interrupt(self) -> None:
        """As `leave`, but the process will say that it was interrupted."""
        if self._trains_here and not self._is_over:
            self._ask_to_stop(by="SIGINT", leave=True)
        else:
            self._leave()

    def _ask_to_stop(self, by: str, leave: bool) -> None:
        if self._is_over or isinstance(self.app.screen, Confirm):
            return

        def answered(yes: bool | None) -> None:
            if yes:
                self.stop(by, leave)

        question = Confirm(
            "Stop training and leave?" if leave else "Stop training?",
            "The model is saved after the batch in hand. The test is skipped.",
            yes="Stop",
            no="Keep training",
        )
        self.app.push_screen(question, answered)

    def stop(self, by: str, leave: bool) -> None:
        """Ask the engine to stop, wherever it runs."""
        send(self._run_directory.commands, Command(name="stop", by=by))
        self._stop_asked = True
        self._leave_when_ended = leave
        self._show()

    def _leave(self) -> None:
        if len(self.app.screen_stack) > 2:
            self.app.pop_screen()
        else:
            self.app.exit()
