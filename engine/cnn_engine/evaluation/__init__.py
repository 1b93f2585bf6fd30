"""Evaluation of a model on labelled images, and the final test."""
