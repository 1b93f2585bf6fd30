"""A run without a dashboard."""
