"""One run, live or finished: everything on it is made from its log."""

import gc
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, cast

from textual import on
from textual.app import ComposeResult
from textual.screen import Screen
from textual.timer import Timer
from textual.widgets import ContentSwitcher

from cnn_engine.runlog.alarms import Kind, find_alarms, unwritable_log_alarm
from cnn_engine.runlog.events import RunPrepared
from cnn_engine.runlog.state import RunState
from cnn_engine.runs.directory import RunDirectory
from cnn_tui.dashboard.dialogs.help import HelpScreen
from cnn_tui.dashboard.keys import Key, Scope, bindings_for
from cnn_tui.dashboard.screens.controls import Controls
from cnn_tui.dashboard.views.live import LiveView
from cnn_tui.dashboard.views.log import LogView
from cnn_tui.dashboard.views.view import View
from cnn_tui.dashboard.widgets.alert import Alert
from cnn_tui.dashboard.widgets.key_bar import KeyBar
from cnn_tui.dashboard.widgets.run_header import RunHeader
from cnn_tui.dashboard.widgets.run_progress import RunProgress
from cnn_tui.live.follower import Follower
from cnn_tui.text.log_lines import log_line, output_line

if TYPE_CHECKING:
    from cnn_tui.dashboard.views.classes import ClassesView
    from cnn_tui.dashboard.views.mistakes import MistakesView

POLL_SECONDS = 1.0
SOON_SECONDS = (0.15, 0.4)
"""When to look for the answer to what was asked of the engine."""

PIECE_SECONDS = 0.001
"""Left between two pieces of a long log to whatever else there is to do: the first paint."""


class RunScreen(Screen[None]):
    """Follows a run's log, and shows what it says in one of several views."""

    BINDINGS = bindings_for("run")
    AUTO_FOCUS = ""
    HORIZONTAL_BREAKPOINTS = [
        (0, "-tiny"),
        (52, "-slim"),
        (70, "-narrow"),
        (100, ""),
        (170, "-wide"),
    ]
    VERTICAL_BREAKPOINTS = [(0, "-low"), (16, "-short"), (30, "-tall")]

    def __init__(
        self,
        run: RunDirectory,
        *,
        trains_here: bool = False,
        blocked: Callable[[], str] = lambda: "",
        bell: bool = False,
    ) -> None:
        """Show a run.

        Args:
            run: Where its log is.
            trains_here: Whether this very process trains it, so that leaving would end it.
            blocked: Tells why the log cannot be written now; empty when it can.
            bell: Whether to ring at an alarm.
        """
        super().__init__()
        self._follower = Follower(run, trains_here=trains_here)
        self._blocked, self._bell = blocked, bell
        self._rung: set[Kind] = set()
        self._trouble = ""
        self._next_piece: Timer | None = None
        self.controls = Controls(self, self._follower)

    @property
    def state(self) -> RunState:
        """The run as far as its log has been read."""
        return self._follower.state

    @property
    def scope(self) -> Scope:
        """Name of the view that is shown."""
        return cast("Scope", self.query_one(ContentSwitcher).current)

    @property
    def scopes(self) -> tuple[Scope, ...]:
        """Where the keys that work now have their place."""
        return "run", self.scope

    @property
    def view(self) -> View:
        """The view that is shown."""
        return self.query_one(f"#{self.scope}", View)

    def compose(self) -> ComposeResult:
        """Facts on top, one of the views, the keys."""
        yield RunHeader()
        yield RunProgress()
        yield Alert()
        with ContentSwitcher(initial="live", id="body"):
            yield LiveView(id="live")
            yield LogView(id="log")
        yield KeyBar("run", "live", view="live")

    def on_mount(self) -> None:
        """Start to follow."""
        self.view.focus()
        self.call_after_refresh(self.poll)
        self.set_interval(POLL_SECONDS, self.poll)

    def poll(self, *, at_once: bool = False) -> None:
        """Take in what is new, and show it; while the terminal takes nothing, only take in.

        Args:
            at_once: Show it however much has been written, as it is what was asked for.
        """
        events, output = self._follower.poll()
        lines = [line for event in events if (line := log_line(event))]
        self.query_one(LogView).add([*lines, *map(output_line, output)])
        if self._follower.trains_here and any(isinstance(event, RunPrepared) for event in events):
            gc.freeze()  # PyTorch's objects stay anyway; to look through them takes 0.2 s each time
        self._tell_trouble()
        if self._next_piece is not None:
            self._next_piece.stop()  # else each poll meanwhile would begin a sequence of its own
        if self._follower.has_more:
            self._next_piece = self.set_timer(PIECE_SECONDS, self.poll)
        elif self.app.can_draw(at_once=at_once):  # type: ignore[attr-defined]
            self._show()
        is_over = self.state.has_ended or not self._follower.trains_here
        if is_over and self.controls.leave_when_ended:
            self.go()

    def _tell_trouble(self) -> None:
        """Say that the run cannot be read, as long as that is so."""
        before, self._trouble = self._trouble, self._follower.error
        if self._trouble:
            text = f"The run cannot be read now: {self._trouble}; tried again every second"
            self.query_one(KeyBar).show_message(text)
        elif before:
            self.query_one(KeyBar).show_message("")

    def _show(self) -> None:
        live = self._follower.is_live
        header, alert = self.query_one(RunHeader), self.query_one(Alert)
        bar = self.query_one(KeyBar)
        header.pending, header.is_dead = (
            self.controls.unanswered,
            not live and not self.state.has_ended,
        )
        reason = self._blocked()
        alert.alarms = (
            [unwritable_log_alarm(reason)] if reason else find_alarms(self.state, time.time(), live)
        )
        self._ring({alarm.kind for alarm in alert.alarms})
        bar.show(live and not self.state.imported)
        for panel in (header, self.query_one(RunProgress), alert):
            panel.show(self.state)
        self.view.show(self.state)

    def _ring(self, kinds: set[Kind]) -> None:
        if self._bell and kinds - self._rung:
            self.app.bell()
        self._rung = kinds

    # Views.

    async def action_view(self, name: Scope) -> None:
        """Show another view."""
        await self._see_to_view(name)
        self.query_one(ContentSwitcher).current = name
        bar = self.query_one(KeyBar)
        bar.scopes, bar.view = self.scopes, self.scope
        self.view.focus()
        self._show()

    async def _see_to_view(self, name: Scope) -> None:
        """Make a view that is not there yet: the first paint need not wait for all of them."""
        if self.query(f"#{name}"):
            return
        view: View
        if name == "classes":
            from cnn_tui.dashboard.views.classes import ClassesView  # noqa: PLC0415

            view = ClassesView(id=name)
        elif name == "mistakes":
            from cnn_tui.dashboard.views.mistakes import MistakesView  # noqa: PLC0415

            view = MistakesView(self._follower.run, id=name)
        else:
            from cnn_tui.dashboard.views.model import ModelView  # noqa: PLC0415

            view = ModelView(self._follower.run, id=name)
        await self.query_one(ContentSwitcher).add_content(view)

    async def on_classes_view_pair_selected(self, event: "ClassesView.PairSelected") -> None:
        """Show the mistakes of a pair of classes."""
        await self.action_view("mistakes")
        cast("MistakesView", self.view).show_pair(event.target, event.predicted)

    def on_mistakes_view_exported(self, event: "MistakesView.Exported") -> None:
        """Say what came of writing them."""
        self.report(event.text)

    def action_help(self) -> None:
        """Show what the keys do."""
        self.app.push_screen(HelpScreen("run", self.scope, "panel"))

    def action_explain(self) -> None:
        """Show how a network like this works, with this one's numbers in the end."""
        from cnn_tui.dashboard.screens.lesson import LessonScreen  # noqa: PLC0415 - the first paint need not wait

        self.app.push_screen(LessonScreen(self._follower.run))

    def action_bell(self) -> None:
        """Ring from now on, or no longer."""
        self._bell = not self._bell
        self.report("Rings at an alarm" if self._bell else "Silent at an alarm")

    def report(self, message: str) -> None:
        """Show a message for a while where the keys are."""
        self.query_one(KeyBar).report(message)

    @on(KeyBar.Clicked)
    async def _clicked(self, event: KeyBar.Clicked) -> None:
        await self.press(event.key)

    async def press(self, key: Key) -> None:
        """Do what a key does."""
        target = self if key.scope == "run" else self.view
        await self.app.run_action(key.action, default_namespace=target)

    # What is asked of the engine.

    def action_ask(self, what: str) -> None:
        """Ask for something: a method of `Controls`."""
        getattr(self.controls, what)()

    def action_leave(self) -> None:
        """Leave; where that would end the run, ask first."""
        self.controls.leave()

    def action_interrupt(self) -> None:
        """As `leave`, but the process will say that it was interrupted."""
        self.controls.leave(by="SIGINT")

    def action_back(self) -> None:
        """Leave what was entered in the view, or else the screen."""
        if not self.view.back():
            self.controls.leave()

    def asked(self) -> None:
        """Show what was asked for, and look soon for the answer."""
        self._show()
        for seconds in SOON_SECONDS:
            self.set_timer(seconds, partial(self.poll, at_once=True))

    def go(self) -> None:
        """Leave without a question."""
        if len(self.app.screen_stack) > 2:
            self.app.pop_screen()
        else:
            self.app.exit()
