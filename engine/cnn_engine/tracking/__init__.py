"""Records the run of any training loop: the code behind `import cnn_tui`."""
