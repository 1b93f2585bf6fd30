"""Suggestions for misspelt names."""

from collections.abc import Collection
from difflib import get_close_matches


def suggest(given: str, known: Collection[str]) -> str:
    """Return `; did you mean …?` for the closest known name, or "" if none is close.

    Dotted names are compared as a whole first, then by their last part (`lr`, `epoch`).
    """
    leaves = {key.rpartition(".")[2]: key for key in known}
    close = get_close_matches(given, known, n=1, cutoff=0.7)
    near = get_close_matches(given.rpartition(".")[2], leaves, n=1, cutoff=0.6)
    match = close or [leaves[leaf] for leaf in near]
    return f"; did you mean {match[0]!r}?" if match else ""
