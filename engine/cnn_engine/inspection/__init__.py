"""Layers and feature maps of a model, found without changing it."""
