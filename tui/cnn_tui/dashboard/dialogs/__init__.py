"""Dialogs: a choice, a value, help, a new run."""
