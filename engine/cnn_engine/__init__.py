"""The training engine. It does not depend on the terminal UI."""
