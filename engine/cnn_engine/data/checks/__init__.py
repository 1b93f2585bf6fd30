"""Checks of an image folder before training."""
