"""Pixels as styled cells."""
