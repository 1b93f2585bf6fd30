"""Checkpoint files: write, verify, find the newest, check compatibility."""
