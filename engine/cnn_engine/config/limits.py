"""Limits of config values that other modules check too. Does not import pydantic."""

MAX_EPOCHS = 1_000_000_000
"""Maximum number of epochs: numbers computed from it are still exact."""

MAX_PROCESSES = 1024
"""Maximum number of processes of a run on one machine."""
