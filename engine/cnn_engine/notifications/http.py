"""Sends a message by HTTP, with the proxies and certificates of the system."""

import http.client
import socket
import ssl
import urllib.error
import urllib.request
from http.client import HTTPMessage
from typing import IO
from urllib.parse import urlsplit

from cnn_engine.notifications.message import Message
from cnn_engine.notifications.services import HttpRequest, make_request
from cnn_engine.notifications.urls import masked_url

SOCKET_SECONDS = 5.0
"""Time to wait for each answer of a server."""

RESENT = (301, 302, 307, 308)
"""Redirects after which the message is sent again to the new URL."""

NO_ANSWER = f"no answer in {SOCKET_SECONDS:.0f} s"


def send(url: str, message: Message) -> str:
    """Send a message; return the reason why it failed, without secrets; empty if it was sent.

    Args:
        url: A URL that `check_url` has returned.
        message: The message.
    """
    try:
        _post(make_request(url, message))
    except Exception as error:  # noqa: BLE001 - the run has ended well all the same
        return _reason(error)
    return ""


def _post(request: HttpRequest) -> None:
    """Send a request.

    Raises:
        OSError: there is no connection, or the answer is not one of success.
        HTTPException: the answer is not HTTP.
    """
    opener = urllib.request.build_opener(_OnSameHost)
    sent = urllib.request.Request(  # noqa: S310 - `check_url` allows http and https only
        request.url, request.body, dict(request.headers), method="POST"
    )
    opener.open(sent, timeout=SOCKET_SECONDS).close()


class _OnSameHost(urllib.request.HTTPRedirectHandler):
    """Sends a message again after a redirect to the same host, and never to another one."""

    max_redirections = 3

    def redirect_request(  # noqa: PLR0913, PLR0917 - of the base class
        self,
        req: urllib.request.Request,
        fp: IO[bytes],  # noqa: ARG002
        code: int,
        msg: str,  # noqa: ARG002 - of the base class
        headers: HTTPMessage,  # noqa: ARG002
        newurl: str,
    ) -> urllib.request.Request | None:
        """Return the next request; None to report the redirect as an error."""
        if code not in RESENT or not _is_same_host(req.full_url, newurl):
            return None
        return urllib.request.Request(  # noqa: S310 - of the same host
            newurl, req.data, dict(req.headers), method="POST"
        )


def _is_same_host(old: str, new: str) -> bool:
    """Return True if a URL is of the same server, or of the same one with encryption."""
    before, after = urlsplit(old), urlsplit(new)
    is_upgrade = (before.scheme, after.scheme) == ("http", "https")
    if before.hostname != after.hostname or not (is_upgrade or before.scheme == after.scheme):
        return False
    try:
        ports = before.port or _port(before.scheme), after.port or _port(after.scheme)
    except ValueError:
        return False
    return ports[0] == ports[1] or (is_upgrade and ports == (80, 443))


def _port(scheme: str) -> int:
    return 443 if scheme == "https" else 80


def _reason(error: Exception) -> str:
    """Return the cause of a failure in a few words; nothing that the server says is repeated."""
    if isinstance(error, urllib.error.HTTPError):
        error.close()
        return _status_text(error)
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    match cause:
        case ssl.SSLCertVerificationError():
            return f"its certificate is not trusted ({cause.verify_message})"
        case socket.gaierror():
            return "its host is unknown"
        case TimeoutError():
            return NO_ANSWER
        case http.client.HTTPException():
            return "its answer is not HTTP"
    text = (isinstance(cause, OSError) and cause.strerror) or type(cause).__name__
    return f"{text[:1].lower()}{text[1:]}"


def _status_text(error: urllib.error.HTTPError) -> str:
    """Return `HTTP 302 Found, a redirect to https://example.org/…`."""
    text = f"HTTP {error.code} {http.client.responses.get(error.code, '')}".rstrip()
    target = error.headers.get("Location", "")
    return f"{text}, a redirect to {masked_url(target)}" if "://" in target else text
