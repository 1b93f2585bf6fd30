"""Everything that talks to a person: command line, printer, dashboard. Never imports torch."""
