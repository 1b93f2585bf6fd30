"""One run, live or finished, shown from its log."""

import gc
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from textual import getters, work
from textual.app import ComposeResult
from textual.dom import DOMNode
from textual.widgets import ContentSwitcher
from textual.worker import Worker

from cnn_engine.runlog.alarms import Alarm, Kind, find_alarms, unwritable_log_alarm
from cnn_engine.runlog.events import Event, LoopDescribed, RunPrepared
from cnn_engine.runlog.log import write_advice
from cnn_engine.runlog.state import RunState
from cnn_engine.runs.commands import Name
from cnn_engine.runs.directory import RunDirectory
from cnn_tui.dashboard.dialogs.copy import copy_dialog
from cnn_tui.dashboard.dialogs.dialog import Dialog
from cnn_tui.dashboard.dialogs.training import QuitDialog, epochs_dialog, lr_dialog, stop_dialog
from cnn_tui.dashboard.keys import Key, Scope, bindings_for
from cnn_tui.dashboard.keys import View as ViewName
from cnn_tui.dashboard.screens.remote import ENDED, NOT_RUNNING, LocalEngine, Refused, Remote, Sent
from cnn_tui.dashboard.screens.screen import POLL_SECONDS, SLOW_SECONDS, DashboardScreen, Result
from cnn_tui.dashboard.views.live import LiveView
from cnn_tui.dashboard.views.log import LogView
from cnn_tui.dashboard.views.view import View
from cnn_tui.dashboard.widgets.alert import Alert
from cnn_tui.dashboard.widgets.key_bar import SENT_SECONDS, KeyBar
from cnn_tui.dashboard.widgets.run_header import RunHeader
from cnn_tui.dashboard.widgets.run_progress import RunProgress
from cnn_tui.live.follower import Batch, Follower
from cnn_tui.live.threads import in_thread
from cnn_tui.text.log_lines import LogLine, log_line, output_line
from cnn_tui.text.other_loops import checkpoint_time, missing_text, refusal_text
from cnn_tui.text.run_status import end_text, has_just_ended, run_status

if TYPE_CHECKING:
    from cnn_tui.dashboard.picture_lists.mistakes import Part
    from cnn_tui.dashboard.views.classes import ClassesView
    from cnn_tui.dashboard.views.mistakes import MistakesView

MISTAKES = "images of mistakes"

NEED_PREDICTIONS = {"classes.open_mistakes", "mistakes.export"}
"""Ids of keys that need predictions for single images, which only cnn-tui's own runs have."""

REPLY_SECONDS = (0.15, 0.4)
"""Delays after a command at which the log is read for the engine's reply."""


class RunScreen(DashboardScreen):
    """Follows a run's log and shows it in one of several views."""

    BINDINGS = bindings_for("run")
    HORIZONTAL_BREAKPOINTS = [
        (0, "-tiny"),
        (52, "-slim"),
        (70, "-narrow"),
        (100, ""),
        (170, "-wide"),
    ]

    header = getters.query_one(RunHeader)
    alert = getters.query_one(Alert)
    views = getters.query_one(ContentSwitcher)

    def __init__(
        self,
        run: RunDirectory,
        *,
        trains_here: bool = False,
        engine: LocalEngine | None = None,
        find_own_alarm: Callable[[], Alarm | None] = lambda: None,
        bell: bool = False,
    ) -> None:
        """Show a run.

        Args:
            run: The run's directory.
            trains_here: True if this process trains the run, so that exiting would end it.
            engine: The engine of this process; None if another process trains the run.
            find_own_alarm: Returns an alarm that only this process knows of; it is shown instead of
                all others.
            bell: True to ring the terminal bell on an alert.
        """
        super().__init__()
        self._follower = Follower(run, trains_here=trains_here)
        self._engine, self._find_own_alarm, self._bell = engine, find_own_alarm, bell
        self._last_alarms: set[Kind] = set()
        self._read_error = ""
        self._loop_text = ""
        """Text of the log's last line about the run's loop."""
        self._reading: Worker[None] | None = None
        """Reads the files; None if it is not reading."""
        self._reading_since = 0.0
        self._is_reply = False
        """True if the next drawing shows the effect of a key."""
        self.remote = Remote(self._follower, engine)
        self._running_dialog: Dialog[Any] | None = None
        """The latest dialog whose answer needs a running run."""
        self.closes_when_ended = False
        """True to close as soon as this process no longer trains the run."""
        self._was_live = False
        self.find_next: Callable[[], RunDirectory | None] | None = None
        """Returns the run that is trained now, which is shown once this one has ended."""

    @property
    def state(self) -> RunState:
        """The run as far as its log has been read."""
        return self._follower.state

    @property
    def is_training_here(self) -> bool:
        """True while this process trains the run."""
        return self._follower.trains_here and self._follower.is_live

    @property
    def can_control(self) -> bool:
        """True if the run is running and obeys commands."""
        return self.remote.can_send

    def is_useless(self, key: Key) -> bool:
        """Return True if all that a key does is to report why the run lacks what it needs."""
        if key.controls:
            return bool(refusal_text(self.state, key.controls))
        if key.id in NEED_PREDICTIONS and missing_text(self.state, MISTAKES):
            return True
        return key.scope == self.shown_view and self.view.is_useless(key)

    def label(self, key: Key) -> str:
        """Return the word for a key; `pause` continues a paused run."""
        if key.scope == self.shown_view:
            return self.view.label(key)
        return "resume" if key.name == "pause" and self.state.paused else key.label

    @property
    def shown_view(self) -> ViewName:
        """Name of the view that is shown."""
        return cast("ViewName", self.views.current)

    @property
    def scopes(self) -> tuple[Scope, ...]:
        """Scopes whose keys work now."""
        return "run", self.shown_view, "panel"

    @property
    def view(self) -> View:
        """The view that is shown."""
        return self.query_one(f"#{self.shown_view}", View)

    def target(self, scope: Scope) -> DOMNode:
        """Return the screen or the view, which has the actions of a scope."""
        return self if scope == "run" else self.view

    def compose(self) -> ComposeResult:
        """Yield the status on top, the views, the keys."""
        yield RunHeader()
        yield RunProgress()
        yield Alert()
        with ContentSwitcher(initial="live", id="body"):
            yield LiveView(self._follower.run, id="live")
            yield LogView(id="log")
        yield KeyBar()

    def on_mount(self) -> None:
        """Start to follow the log."""
        self.view.focus()
        self.call_after_refresh(self.poll)
        self.set_interval(POLL_SECONDS, self.poll)

    def poll(self, *, is_reply: bool = False) -> None:
        """Start to read new events and show them, unless the previous read is not finished.

        Args:
            is_reply: True if it shows the effect of a key, which the byte budget does not limit.
        """
        self._is_reply |= is_reply
        self._close_if_ended()
        if self._reading is None:
            self._reading_since = time.monotonic()
            self._reading = self.run_worker(self._read())
        elif time.monotonic() - self._reading_since > SLOW_SECONDS:
            self.key_bar.show_message("The run's files do not answer; waiting for them")

    async def _read(self) -> None:
        """Read to the end in a thread, and show it; keys are handled meanwhile."""
        while True:
            batch = await in_thread(self._follower.read)
            if not self.is_open:
                return
            self._apply(batch)
            self._reading_since = time.monotonic()
            if not batch.has_more:
                break
        view, state = self.view, self.state
        if view.has_files:
            await in_thread(lambda: view.read(state))
            if not self.is_open:
                return
        self._reading = None
        self._report_read_error()
        if self.can_draw(is_reply=True):  # otherwise it was only read
            self._show(with_view=self.can_draw(is_reply=self._is_reply))
        self._is_reply = False
        self._close_if_ended()
        await self._move_on()

    async def _move_on(self) -> None:
        """Show the next run of the series in the same view, once it is trained."""
        if self.find_next is None or self._follower.is_live or self.app.screen is not self:
            return
        run = await in_thread(self.find_next)
        if run is None or run == self._follower.run or self.app.screen is not self:
            return
        screen = RunScreen(run, bell=self._bell)
        screen.find_next = self.find_next
        self.app.switch_screen(screen)
        screen.call_after_refresh(screen.action_show_view, self.shown_view)

    def _close_if_ended(self) -> None:
        """Close the screen if that was requested, and this process no longer trains the run."""
        # The end cannot be read from a directory that is gone.
        has_ended = self._engine is not None and self._engine.has_ended()
        if self.closes_when_ended and (has_ended or not self.is_training_here):
            self.close()

    def _apply(self, batch: Batch) -> None:
        """Add new events to the state and the log."""
        self._follower.apply(batch)
        if self._was_live and any(map(has_just_ended, batch.events)):
            self.notify_desktop(end_text(self.state))
        lines = [line for event in batch.events if (line := self._log_line(event))]
        self.query_one(LogView).add([*lines, *map(output_line, batch.output)])
        prepared = any(isinstance(event, RunPrepared) for event in batch.events)
        if self._follower.trains_here and prepared:
            gc.freeze()  # PyTorch's objects stay in memory; collecting over them takes 0.2 s

    def _log_line(self, event: Event) -> LogLine | None:
        """Return the line of an event; a loop is only described again if the text has changed."""
        line = log_line(event)
        if isinstance(event, LoopDescribed) and line:
            previous, self._loop_text = self._loop_text, line.text
            return None if line.text == previous else line
        return line

    def _report_read_error(self) -> None:
        """Show a message while the run cannot be read."""
        previous, self._read_error = self._read_error, self._follower.error
        if self._read_error:
            self.key_bar.show_message(f"Cannot read the run: {self._read_error} (retrying)")
        elif previous:
            self.key_bar.show_message("")

    def _show(self, *, with_view: bool = True) -> None:
        """Show the state; without the view only in a few lines, which take few bytes."""
        is_live = self._follower.is_live
        self.header.pending = self.remote.pending
        self._was_live |= is_live
        is_dead = not is_live and not self.state.has_ended and not self._follower.waiting
        self.query_one(RunProgress).waiting = self._follower.waiting
        self.show_status(run_status(self.state, is_followed=self._was_live, is_dead=is_dead))
        self.header.is_dead = self.query_one(RunProgress).is_dead = is_dead
        self.header.is_restarting = self._follower.is_restarting
        own = self._own_alarm()
        alarms = [own] if own else find_alarms(self.state, time.time(), is_live)
        self.alert.alarms = alarms
        self._ring({alarm.kind for alarm in alarms})
        for panel in (self.header, self.query_one(RunProgress), self.alert):
            panel.show(self.state)
        if with_view and self.view.is_read:
            self.view.show(self.state)
        self.key_bar.show(self.can_control)
        self.refresh_bindings()
        if not is_live:
            self._close_running_dialog()

    def on_unmount(self) -> None:
        """Remove the run from the terminal's title."""
        self.show_status(None)

    def _close_running_dialog(self) -> None:
        """Close a dialog whose question an ended run has answered, and report that."""
        if self._running_dialog is not None and self._running_dialog.is_current:
            self._running_dialog.dismiss(None)
            self.report(ENDED if self.state.has_ended else NOT_RUNNING)

    async def _ask_running(self, dialog: Dialog[Result]) -> Result | None:
        """Open a dialog about a running run and return its result; None if the run has ended."""
        if self.app.screen is self:  # otherwise it is not opened
            self._running_dialog = dialog
        return await self.ask(dialog)

    def _own_alarm(self) -> Alarm | None:
        """Return the alarm that only this process knows of."""
        if self._engine and (error := self._engine.write_error):
            return unwritable_log_alarm(error, write_advice(error).capitalize())
        return self._find_own_alarm()

    def _ring(self, alarms: set[Kind]) -> None:
        """Ring the bell if it is on and there is a new kind of alarm."""
        if self._bell and alarms - self._last_alarms:
            self.app.bell()
        self._last_alarms = alarms

    # Views.

    async def action_show_view(self, name: ViewName) -> None:
        """Show a view."""
        await self._add_view(name)
        self.views.current = name
        self.view.focus()
        self._show()
        self.poll(is_reply=True)  # a view may have files of its own

    async def _add_view(self, name: ViewName) -> None:
        """Create a view when it is first shown, so that it does not delay the first paint."""
        if self.query(f"#{name}"):
            return
        view: View
        if name == "classes":
            from cnn_tui.dashboard.views.classes import ClassesView  # noqa: PLC0415

            view = ClassesView(id=name)
        elif name == "mistakes":
            from cnn_tui.dashboard.views.mistakes import MistakesView  # noqa: PLC0415

            view = MistakesView(self._follower.run, id=name)
        elif name == "metrics":
            from cnn_tui.dashboard.views.metrics import MetricsView  # noqa: PLC0415

            view = MetricsView(id=name)
        else:
            from cnn_tui.dashboard.views.model import ModelView  # noqa: PLC0415

            view = ModelView(self._follower.run, id=name)
        await self.views.add_content(view)

    async def on_classes_view_pair_selected(self, event: "ClassesView.PairSelected") -> None:
        """Show the mistakes of a pair of classes, or report why there are none."""
        if reason := missing_text(self.state, MISTAKES):
            self.report(f"{reason[:1].upper()}{reason[1:]}")
            return
        await self.action_show_view("mistakes")
        part: Part = "test" if event.is_test else "validation"
        cast("MistakesView", self.view).show_pair(part, event.target, event.predicted)

    def on_mistakes_view_reported(self, event: "MistakesView.Reported") -> None:
        """Report the effect of a key."""
        self.report(event.text)

    @work
    async def action_explain(self) -> None:
        """Open the lesson, which ends with this run's numbers."""
        from cnn_tui.dashboard.screens.lesson import LessonScreen  # noqa: PLC0415 - only if opened
        from cnn_tui.lesson.contents import all_chapters  # noqa: PLC0415 - only if opened

        chapters = await in_thread(lambda: all_chapters(self._follower.run))
        self.open(LessonScreen(chapters))

    def action_toggle_bell(self) -> None:
        """Turn the alert bell on or off."""
        self._bell = not self._bell
        self.report("Alert bell on" if self._bell else "Alert bell off")

    @work
    async def action_copy(self) -> None:
        """Copy the selected text, or ask which text about the run to copy."""
        if not self.copy_selection():
            error = self.state.finished.error if self.state.finished else ""
            self.copy(await self.ask(copy_dialog(self._follower.run, error)) or "")

    # Commands to the engine.

    @work
    async def action_pause(self) -> None:
        """Pause training, or continue."""
        self._acknowledge(await self.remote.toggle_pause())

    @work
    async def action_save_checkpoint(self) -> None:
        """Save a checkpoint."""
        await self._send("checkpoint", message=f"Saving a checkpoint {checkpoint_time(self.state)}")

    @work
    async def action_set_lr(self) -> None:
        """Ask for a learning rate and set it."""
        if self._is_refused("lr"):
            return
        lr = await self._ask_running(lr_dialog(self.state.last_lr))
        if lr is not None:
            await self._send("lr", lr, message=f"Learning rate {lr:g} from the next step on")

    @work
    async def action_set_epochs(self) -> None:
        """Ask for a number of epochs and set it."""
        if self._is_refused("epochs"):
            return
        dialog = epochs_dialog(lambda: self.state.epoch, self.state.total_epochs)
        epochs = await self._ask_running(dialog)
        if epochs is not None:
            await self._send("epochs", epochs, message=f"{epochs} epochs in total")

    @work
    async def action_stop(self) -> None:
        """Ask how to stop, and stop."""
        if self._is_refused("stop"):
            return
        command = await self._ask_running(stop_dialog(self.state))
        if command == "stop-epoch":
            is_saved = " is validated and saved" if self.state.is_own else ""
            await self._send("stop-epoch", message=f"Stopping after this epoch{is_saved}")
        elif command == "stop-test":
            await self._send("stop-test", message="Stopping; the best model is tested first")
        elif command == "stop":
            await self._send("stop")

    @work
    async def action_detach(self) -> None:
        """Move the training to a background process."""
        continues = "it stays paused" if self.state.paused else "training continues"
        message = f"Detaching… {continues} in the background"
        self._acknowledge(await self.remote.detach(), message)

    def show_pending_stop(self) -> None:
        """Show that a signal has requested a stop."""
        self.remote.mark_pending("stop")
        self._expect_reply()

    def _is_refused(self, command: Name) -> bool:
        """Return True if a command cannot be sent now, and report why."""
        refusal = self.remote.refusal(command)
        if refusal:
            self.report(refusal.reason)
        return refusal is not None

    async def _send(
        self, name: Name, value: float | None = None, *, by: str = "key", message: str = ""
    ) -> bool:
        """Send a command; return True if it was sent."""
        return self._acknowledge(await self.remote.send(name, value, by), message)

    def _acknowledge(self, result: Sent | Refused, message: str = "") -> bool:
        """Show that a command was sent, or why not; return True if it was."""
        if isinstance(result, Refused):
            self.report(result.reason)
            return False
        self._expect_reply()
        if message:
            self.report(message, SENT_SECONDS)
        return True

    def _expect_reply(self) -> None:
        """Show the command that was sent, and read the log soon for the engine's reply."""
        self._show()
        for seconds in REPLY_SECONDS:
            self.set_timer(seconds, partial(self.poll, is_reply=True))

    # Closing.

    def action_quit(self) -> None:
        """Close the screen; ask first if that would end the run."""
        self._quit("key")

    def action_interrupt(self) -> None:
        """Close the screen like `quit`, recorded as an interruption; copy a selected text first."""
        if not self.copy_selection():
            self._quit("SIGINT")

    def action_back(self) -> None:
        """Close the view's current mode, such as a search; else unfocus a panel, else close."""
        if self.view.back():
            return
        if self.focused is not self.view:
            self.view.focus()
        else:
            super().action_back()

    def _quit(self, by: str) -> None:
        if self.is_training_here:
            self._confirm_quit(by)
        else:
            self.close()

    @work
    async def _confirm_quit(self, by: str) -> None:
        if isinstance(self.app.screen, QuitDialog):
            return
        dialog = self._running_dialog = QuitDialog()
        command = await self.app.push_screen_wait(dialog)
        if command in {"stop", "detach"} and await self._send(cast("Name", command), by=by):
            self.closes_when_ended = True
