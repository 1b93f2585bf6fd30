"""Keeps a network's own code from ending the process."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn


@contextmanager
def exits_raise() -> Iterator[None]:
    """Let `os._exit` raise SystemExit in this thread within the block, so that a run reports it.

    Other threads and forked processes still end.
    """
    exit_process, caller = os._exit, _caller()

    def raise_exit(status: int) -> NoReturn:
        if _caller() == caller:
            raise SystemExit(status)
        exit_process(status)

    os._exit = raise_exit
    try:
        yield
    finally:
        os._exit = exit_process


def _caller() -> tuple[int, int]:
    return os.getpid(), threading.get_ident()
