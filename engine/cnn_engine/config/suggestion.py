"""What may have been meant by a word that is not known."""

from collections.abc import Collection
from difflib import get_close_matches


def suggest(given: str, known: Collection[str]) -> str:
    """`; did you mean …?`, by the whole key or by its last part (`lr`, `epoch`)."""
    leaves = {key.rpartition(".")[2]: key for key in known}
    close = get_close_matches(given, known, n=1, cutoff=0.7)
    near = get_close_matches(given.rpartition(".")[2], leaves, n=1, cutoff=0.6)
    match = close or [leaves[leaf] for leaf in near]
    return f"; did you mean {match[0]!r}?" if match else ""
