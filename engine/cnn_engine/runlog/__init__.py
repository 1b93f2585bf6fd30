"""The log of a run: typed events, their lines, and the state reduced from them."""
