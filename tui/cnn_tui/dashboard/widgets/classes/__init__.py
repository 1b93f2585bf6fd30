"""Widgets of the classes view."""
