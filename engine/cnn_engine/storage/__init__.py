"""File formats and durable writes, independent of runs."""
