"""Adapters to the training loops of other libraries, which are imported only with their module."""
