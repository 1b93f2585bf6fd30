"""The terminal: what it can do, how it is kept, lost and restored."""
