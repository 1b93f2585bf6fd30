"""Look into a model without changing it."""
