"""Load a run's best model and use it."""
