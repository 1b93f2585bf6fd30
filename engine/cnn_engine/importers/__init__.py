"""Runs made from the logs of other programs."""
