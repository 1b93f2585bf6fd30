"""Network interface over which gloo exchanges tensors."""

import os
import socket
from contextlib import closing

import psutil

from cnn_engine.errors import ConfigError

INTERFACE = "GLOO_SOCKET_IFNAME"
"""Environment variable of the interface. By default gloo takes that of the machine's name, whose
address may be a loopback one, to which other machines cannot connect."""


def choose_interface(address: str, *, is_one_machine: bool) -> None:
    """Set `GLOO_SOCKET_IFNAME`, unless the user has.

    Args:
        address: Address of the machine with torchrun's store.
        is_one_machine: True if all processes are on this machine.

    Raises:
        ConfigError: there is no such interface.
    """
    known = psutil.net_if_addrs()
    chosen = os.environ.get(INTERFACE)
    if chosen:
        if missing := [name for name in chosen.split(",") if name not in known]:
            found = ", ".join(known)
            raise ConfigError(f"{INTERFACE}: there is no network interface {missing[0]!r}: {found}")
        return
    own = "127.0.0.1" if is_one_machine else _own_address(address)
    for name, addresses in known.items():
        if any(each.address == own for each in addresses):
            os.environ[INTERFACE] = name
            return


def _own_address(address: str) -> str:
    """Return the address of this machine on the route to another one; empty if it is unknown."""
    try:
        with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as probe:
            probe.connect((address, 9))  # nothing is sent
            own: str = probe.getsockname()[0]
            return own
    except OSError:
        return ""
