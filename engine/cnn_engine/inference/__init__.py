"""A run's best model, loaded and used."""
