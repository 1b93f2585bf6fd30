"""Use of a run's best model: predictions and the repeated final test."""
