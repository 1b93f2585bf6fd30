"""On a subprocess's PYTHONPATH: refuse every connection, and log its address.

The addresses are appended to the file in the environment variable NOTE_CONNECTIONS_IN, if set.
"""

import os
import socket
from pathlib import Path


def _refuse(_self: socket.socket, address: object) -> None:
    if note := os.environ.get("NOTE_CONNECTIONS_IN"):
        with Path(note).open("a") as log:
            log.write(f"{address}\n")
    raise OSError("Network is unreachable")


socket.socket.connect = _refuse  # type: ignore[method-assign, assignment]
socket.getaddrinfo = lambda host, *_args, **_kwargs: [  # type: ignore[assignment]
    (socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"{host}", 0))
]
