"""What can be typed in a shell."""
