"""Run directories: create, record, command, list, filter, annotate, delete."""
