"""The table of finished epochs, the newest first."""

from collections.abc import Sequence

from textual.content import Content

from cnn_engine.runlog.best_metric import VAL_ACCURACY, VAL_LOSS, VAL_MACRO_F1, BestMetric
from cnn_engine.runlog.events import EpochFinished
from cnn_engine.runlog.state import RunState
from cnn_tui.dashboard.widgets.panel import LazyLines, Panel
from cnn_tui.text.numbers import decimal, percent

HEADINGS = {
    VAL_LOSS: f"{'#':>3} {'time':>7} {'train':>7} {'val':>7}   {'acc':>6}",
    VAL_ACCURACY: f"{'#':>3} {'time':>7} {'train':>7} {'val':>7} {'acc':>6}",
    VAL_MACRO_F1: f"{'#':>3} {'time':>7} {'train':>7} {'val':>7} {'F1':>6}",
}
"""Headings by the metric that selects the best epoch; its column is followed by the mark."""


class EpochTable(Panel[RunState], can_focus=True):
    """Time, losses, and validation accuracy or F1; ★ marks epochs that were the best so far."""

    TITLE = "Epochs"

    def depends_on(self, state: RunState) -> object:
        """Return the numbers of epochs, checkpoints and undos."""
        return len(state.epochs), len(state.checkpoints), state.undos

    def draw(self, state: RunState, width: int, height: int) -> Sequence[Content]:  # noqa: ARG002
        """Return a heading, and a line for each epoch."""
        epochs, best, metric = state.epochs, state.best_epochs, state.best_metric
        latest_best = state.best.epoch if state.best else 0

        def line(y: int) -> Content:
            if y == 0:
                return Content.styled(HEADINGS[metric], "$muted")
            epoch = epochs[len(epochs) - y]
            mark = " ★" if epoch.epoch in best else "  "
            return _row(epoch, metric, mark, "bold" if epoch.epoch == latest_best else "")

        return LazyLines(1 + len(epochs), line)


def _row(epoch: EpochFinished, metric: BestMetric, mark: str, style: str) -> Content:
    """Return the line of an epoch, with `mark` behind the metric that selects the best one."""
    seconds = epoch.train_seconds + epoch.val_seconds
    rate = percent(epoch.val_accuracy)
    if metric is VAL_MACRO_F1:
        rate = decimal(epoch.val_macro_f1, 3)
    columns = [(f" {decimal(epoch.known_val_loss):>7}", style), (f" {rate:>6}", style)]
    columns.insert(1 if metric is VAL_LOSS else 2, (mark, "$secondary"))
    return Content.assemble(
        (f"{epoch.epoch:>3} {seconds:>6.1f}s ", "$muted"),
        f"{decimal(epoch.known_train_loss):>7}",
        *columns,
    )
