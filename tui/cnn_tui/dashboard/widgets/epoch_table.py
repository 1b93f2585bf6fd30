"""The table of finished epochs, the newest first."""

from collections.abc import Sequence

from textual.content import Content

from cnn_engine.runlog.events import EpochFinished
from cnn_engine.runlog.state import RunState
from cnn_tui.dashboard.widgets.panel import LazyLines, Panel
from cnn_tui.text.numbers import decimal, percent

HEADING = f"{'#':>3} {'time':>7} {'train':>7} {'val':>7}   {'acc':>6}"


class EpochTable(Panel[RunState], can_focus=True):
    """Time, losses and validation accuracy; ★ marks epochs that were the best so far."""

    TITLE = "Epochs"

    def depends_on(self, state: RunState) -> object:
        """Return the numbers of epochs, checkpoints and undos."""
        return len(state.epochs), len(state.checkpoints), state.undos

    def draw(self, state: RunState, width: int, height: int) -> Sequence[Content]:  # noqa: ARG002
        """Return a heading, and a line for each epoch."""
        epochs, best = state.epochs, state.best_epochs
        latest_best = state.best.epoch if state.best else 0

        def line(y: int) -> Content:
            if y == 0:
                return Content.styled(HEADING, "$muted")
            epoch = epochs[len(epochs) - y]
            return _row(epoch, epoch.epoch in best, epoch.epoch == latest_best)

        return LazyLines(1 + len(epochs), line)


def _row(epoch: EpochFinished, was_best: bool, is_best: bool) -> Content:
    seconds = epoch.train_seconds + epoch.val_seconds
    return Content.assemble(
        (f"{epoch.epoch:>3} {seconds:>6.1f}s ", "$muted"),
        f"{decimal(epoch.known_train_loss):>7}",
        (f" {decimal(epoch.known_val_loss):>7}", "bold" if is_best else ""),
        (" ★" if was_best else "  ", "$secondary"),
        (f" {percent(epoch.val_accuracy):>6}", "bold" if is_best else ""),
    )
