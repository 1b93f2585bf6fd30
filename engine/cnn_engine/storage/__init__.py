"""File formats and durable writes that know nothing of runs."""
