"""Ends of other processes of a run. Does not import PyTorch."""


class ProcessLostError(Exception):
    """Another process of the run has ended, or does not answer."""


class EndedElsewhereError(Exception):
    """The first process has ended the run before the others could join."""
