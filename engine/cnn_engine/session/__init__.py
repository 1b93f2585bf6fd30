"""Training processes: start, resume, detach, end."""
