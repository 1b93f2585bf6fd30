"""What is printed at length: of a run, of several, of a test, of a folder, of a machine."""
