"""What can be asked of cnn-tui in a shell, a module for each kind of command."""
