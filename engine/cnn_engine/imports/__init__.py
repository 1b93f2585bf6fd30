"""Runs of other programs: what they log becomes events of ours, read on as it grows."""
