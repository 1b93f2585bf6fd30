"""Parts of messages."""

from collections.abc import Sequence


def listed(names: Sequence[str], limit: int = 5) -> str:
    """Return the first `limit` names, separated by commas, and the number of the others."""
    more = f" and {len(names) - limit:,} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more
