"""What can be asked of a run from its screen: questions first, where there is a choice."""

from typing import TYPE_CHECKING

from cnn_engine.errors import StorageError
from cnn_engine.runs import commands
from cnn_engine.runs.commands import Command, Name
from cnn_tui.dashboard.dialogs.choice import Answer, ChoiceDialog
from cnn_tui.dashboard.dialogs.value import ValueDialog
from cnn_tui.live.follower import Follower
from cnn_tui.text.parse import parse_epochs, parse_lr

if TYPE_CHECKING:
    from cnn_tui.dashboard.screens.run import RunScreen


class Controls:
    """Asks the engine, wherever it runs, by lines in the run's directory."""

    def __init__(self, screen: "RunScreen", follower: Follower) -> None:
        self._screen, self._follower = screen, follower
        self._asked: Name | None = None
        self._answers = 0
        self._to_be_paused = False
        """What was asked for last, which holds until as many pauses and ends of them are done as
        are due by then."""
        self._pauses_due = 0
        self.leave_when_ended = False
        """Whether to leave as soon as this process does not train the run any more."""

    @property
    def unanswered(self) -> Name | None:
        """What was asked for last, until the engine has said that it is done."""
        if len(self._follower.state.commands) != self._answers or not self._follower.is_live:
            self._asked = None
        return self._asked

    def pause(self) -> None:
        """Pause, or go on: whatever was not asked for last, even if that is not done yet."""
        state = self._follower.state
        done = sum(command.command in ("pause", "unpause") for command in state.commands)
        paused = self._to_be_paused if done < self._pauses_due else state.paused
        if self.ask("unpause" if paused else "pause"):
            self._to_be_paused, self._pauses_due = not paused, max(done, self._pauses_due) + 1

    def checkpoint(self) -> None:
        """Save a checkpoint."""
        if self.ask("checkpoint"):
            self._screen.report("A checkpoint is saved after the batch in hand")

    def rate(self) -> None:
        """Ask for a learning rate."""
        if self._can_ask():
            now = self._follower.state.lr
            question = ValueDialog(
                "Learning rate",
                "Used from the next step on.",
                "" if now is None else f"{now:.4g}",
                parse_lr,
            )
            self._screen.app.push_screen(question, self._set_rate)

    def _set_rate(self, rate: float | None) -> None:
        if rate is not None and self.ask("lr", rate):
            self._screen.report(f"Learning rate {rate:g} from the next step on")

    def epochs(self) -> None:
        """Ask for a number of epochs."""
        state = self._follower.state

        def read(text: str) -> int:
            epochs = parse_epochs(text)
            if epochs < state.epoch:
                raise ValueError(f"Epoch {state.epoch} is in hand: it takes that many or more.")
            return epochs

        if self._can_ask():
            question = ValueDialog(
                "Epochs in all",
                "More train longer; as many as the one in hand make that the last.",
                str(state.total_epochs or ""),
                read,
            )
            self._screen.app.push_screen(question, self._set_epochs)

    def _set_epochs(self, epochs: float | None) -> None:
        if epochs is not None and self.ask("epochs", epochs):
            self._screen.report(f"{epochs:g} epochs in all")

    def stop(self) -> None:
        """Ask whether to stop at once or after the epoch."""
        if self._can_ask():
            question = ChoiceDialog(
                "Stop training?",
                "Either way the model is saved and the test is skipped; after this epoch it is "
                "also validated.",
                Answer("y", "Stop now", "stop"),
                Answer("e", "After this epoch", "stop-epoch"),
                Answer("n", "Keep training", ""),
            )
            self._screen.app.push_screen(question, self._stop)

    def _stop(self, how: str | None) -> None:
        if how == "stop":
            self.ask("stop")
        elif how == "stop-epoch" and self.ask("stop-epoch"):
            self._screen.report("Stops once this epoch is validated and saved")

    def detach(self) -> None:
        """Hand the run over to a process in the background."""
        if not self._can_ask():
            return
        if not self._follower.trains_here:
            self._screen.report("It is trained by another process already: you can just leave")
        elif self.ask("detach"):
            self._screen.report("Goes to the background; from then on you can leave")

    def leave(self, by: str = "key") -> None:
        """Leave the screen; where that would end the run, ask first."""
        if not (self._follower.trains_here and self._follower.is_live):
            self._screen.go()
        elif not isinstance(self._screen.app.screen, ChoiceDialog):
            question = ChoiceDialog(
                "Leave the run?",
                "It is trained in this window. Stopped, it is saved after the batch in hand and "
                "can be resumed; in the background it trains on, and any terminal can watch it.",
                Answer("y", "Stop it", "stop"),
                Answer("d", "Train on in the background", "detach"),
                Answer("n", "Stay", ""),
            )
            self._screen.app.push_screen(question, lambda how: self._leave(by, how))

    def _leave(self, by: str, how: str | None) -> None:
        if (how == "stop" and self.ask("stop", by=by)) or (how == "detach" and self.ask("detach")):
            self.leave_when_ended = True

    def stop_sent(self) -> None:
        """Take note that a signal has asked for a stop."""
        self._asked, self._answers = "stop", len(self._follower.state.commands)
        self._screen.asked()

    def ask(self, name: Name, value: float | None = None, by: str = "key") -> bool:
        """Ask, if there is anyone to ask, or say why not; whether it was asked."""
        if not self._can_ask():
            return False
        try:
            commands.send(self._follower.run.commands, Command(name=name, by=by, value=value))
        except StorageError as error:
            self._screen.report(str(error))
            return False
        self._asked, self._answers = name, len(self._follower.state.commands)
        self._screen.asked()
        return True

    def _can_ask(self) -> bool:
        if self._follower.state.imported:
            self._screen.report("Another program trains this run: it cannot be asked for anything")
            return False
        if self._follower.is_live:
            return True
        ended = self._follower.state.has_ended
        self._screen.report(
            "This run has ended" if ended else "Nobody trains this run: no process holds it"
        )
        return False
