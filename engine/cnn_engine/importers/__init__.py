"""Import of other programs' logs as runs."""
