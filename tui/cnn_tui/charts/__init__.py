"""Numbers as styled cells."""
