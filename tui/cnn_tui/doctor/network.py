"""Check of the server that `cnn-tui run cifar10` downloads from."""

from http.client import HTTPException

from cnn_engine.data.sources.download import URL, check_server, failure_reason
from cnn_tui.doctor.check import Check


def check_network() -> Check:
    """Return the check; it takes a few seconds without a network."""
    try:
        check_server()
    except (OSError, HTTPException) as error:
        value = f"{URL} cannot be reached: {failure_reason(error)}"
        advice = (
            "train on the bundled digits or your own images; behind a proxy set HTTPS_PROXY; or "
            "pass a directory that contains CIFAR-10 with --data-dir"
        )
        return Check("CIFAR-10", value, "warning", advice, facts={"reachable": False})
    return Check("CIFAR-10", f"{URL} can be reached", facts={"reachable": True})
