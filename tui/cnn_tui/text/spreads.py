"""Series of runs as text: means and standard deviations, and what differs."""

import re

from cnn_engine.runs.groups import Spread

TABLE = re.compile(r"\b[a-z]\w*\.(?=[a-z]\w*[= ])")
"""Table of a config key with its dot."""


def spread_text(spread: Spread, digits: int = 1) -> str:
    """Return the percentage of a fraction: `94.01 ± 0.14`, or `94.01` for a single run."""
    mean = f"{100 * spread.mean:.{digits}f}"
    if spread.deviation is None:
        return mean
    return f"{mean} ± {100 * spread.deviation:.{digits}f}"


def short_keys(text: str) -> str:
    """Return a setting without the tables of its keys: `lr=0.003` for `optimizer.lr=0.003`."""
    return TABLE.sub("", text)
