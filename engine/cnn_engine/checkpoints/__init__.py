"""Checkpoint files: write, verify, find the newest, check that they fit."""
