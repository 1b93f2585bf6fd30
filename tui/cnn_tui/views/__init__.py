"""What the screen of a run shows at a time: one of these."""
