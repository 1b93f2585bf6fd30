"""A run as a process: start, resume, detach, end."""
