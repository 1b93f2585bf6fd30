"""Checks of this machine and this terminal, for `cnn-tui doctor`."""
