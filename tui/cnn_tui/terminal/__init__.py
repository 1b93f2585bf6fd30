"""The terminal: capabilities, output, loss and restoration."""
