"""Signals that stop a run with a checkpoint. Imports nothing else: the supervisor stays small."""

import signal

IMPATIENT_SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""Signals from a user or the system. A second one soon after the first quits without a
checkpoint."""

WARNING_SIGNALS = (signal.SIGUSR1, signal.SIGUSR2, signal.SIGXCPU)
"""Signals by which batch systems announce a limit: SIGUSR1 and SIGUSR2 by Slurm and Grid Engine,
SIGXCPU by a limit of processor time. They may be repeated, as SIGXCPU is every second, and never
quit without a checkpoint."""

STOP_SIGNALS = (*IMPATIENT_SIGNALS, *WARNING_SIGNALS)
"""All signals after which a run saves a checkpoint and ends with 128 + the signal's number."""

EXIT_CODES = {number.name: 128 + number for number in (signal.SIGHUP, *STOP_SIGNALS)}
"""Exit codes after a signal, by its name: 128 + its number, as in shells."""
