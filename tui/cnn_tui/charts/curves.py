"""The validation losses of a run as a sparkline."""

import math

from cnn_engine.runs.summary import RunSummary
from cnn_tui.charts.blocks import sparkline


def curve_text(run: RunSummary, width: int) -> str:
    """Return the whole curve in at most `width` cells; empty with fewer than two epochs."""
    losses = [math.nan if loss is None else loss for loss in run.val_losses]
    if len(losses) < 2:
        return ""
    if len(losses) > width:
        step = (len(losses) - 1) / (width - 1)
        losses = [losses[round(index * step)] for index in range(width)]
    return sparkline(losses, width)
