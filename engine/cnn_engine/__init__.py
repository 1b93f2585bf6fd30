"""The training engine: knows PyTorch and files, and no terminal."""
