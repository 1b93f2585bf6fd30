"""Means and standard deviations as text."""

from cnn_engine.runs.groups import Spread


def spread_text(spread: Spread, digits: int = 1) -> str:
    """Return the percentage of a fraction: `94.01 ± 0.14`, or `94.01` for a single run."""
    mean = f"{100 * spread.mean:.{digits}f}"
    if spread.deviation is None:
        return mean
    return f"{mean} ± {100 * spread.deviation:.{digits}f}"
