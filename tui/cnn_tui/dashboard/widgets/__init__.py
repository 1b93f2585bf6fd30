"""Widgets that draw a run."""
