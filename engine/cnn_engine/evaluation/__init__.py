"""Run a model over labelled images and count what it gets right."""
