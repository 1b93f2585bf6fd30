"""The training loop, and all that changes weights."""
