"""Messages to the user when a run ends or raises an alarm, by URL and by a command."""
