"""Logs and files that another thread or process writes."""
