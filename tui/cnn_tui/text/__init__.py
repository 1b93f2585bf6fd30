"""Numbers, events and metrics as text, harmless on a terminal."""
