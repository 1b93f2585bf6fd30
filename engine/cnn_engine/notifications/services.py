"""HTTP requests of the services that take messages."""

import base64
import json
import sys
from collections.abc import Mapping
from email.header import Header
from importlib.metadata import version
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

from cnn_engine.notifications.message import Message
from cnn_engine.notifications.urls import NTFY_SCHEMES

SLACK_HOSTS = ("hooks.slack.com", "hooks.slack-gov.com")
DISCORD_HOSTS = ("discord.com", "discordapp.com", "ptb.discord.com", "canary.discord.com")

NTFY_TAGS = MappingProxyType(
    {
        "done": "white_check_mark",
        "failed": "x",
        "stopped": "octagonal_sign",
        "alarm": "warning",
    }
)
"""Emoji of each event."""

NTFY_PRIORITIES = MappingProxyType({"done": "default", "stopped": "default"})
"""Priorities of events; others are high."""

MAX_DISCORD_LENGTH = 2000


class HttpRequest(NamedTuple):
    """A POST request."""

    url: str
    """Without user and password."""

    headers: Mapping[str, str]
    body: bytes


def make_request(url: str, message: Message) -> HttpRequest:
    """Return the request that sends a message to a URL, in the form that its service takes.

    Args:
        url: A URL that `check_url` has returned.
        message: The message.
    """
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    headers = {"User-Agent": f"cnn-tui/{version('cnn-tui')}", **_authorization(parts)}
    address = _address(parts)
    if parts.scheme in NTFY_SCHEMES or host.startswith("ntfy."):
        headers |= {
            "Content-Type": "text/plain; charset=utf-8",
            "Title": _header(message.title),
            "Priority": NTFY_PRIORITIES.get(message.event, "high"),
            "Tags": NTFY_TAGS[message.event],
        }
        return HttpRequest(address, headers, message.text.encode())
    if host in SLACK_HOSTS:
        return _json_request(address, headers, {"text": _in_slack(message)})
    if host in DISCORD_HOSTS and "/webhooks/" in parts.path:
        text = f"**{message.title}**\n{message.text}"[:MAX_DISCORD_LENGTH]
        content = {"content": text, "allowed_mentions": {"parse": []}}
        return _json_request(address, headers, content)
    return _json_request(address, headers, message.fields)


def _json_request(url: str, headers: Mapping[str, str], content: dict[str, Any]) -> HttpRequest:
    body = json.dumps(content, allow_nan=False).encode()
    return HttpRequest(url, {**headers, "Content-Type": "application/json"}, body)


def _address(parts: SplitResult) -> str:
    """Return the URL with the scheme of HTTP, and without user, password and fragment."""
    scheme = NTFY_SCHEMES.get(parts.scheme, parts.scheme)
    place = parts.netloc.rpartition("@")[2]
    return parts._replace(scheme=scheme, netloc=place, path=parts.path or "/", fragment="").geturl()


def _authorization(parts: SplitResult) -> dict[str, str]:
    """Return the header for the user and the password in a URL; empty without them."""
    if parts.username is None:
        return {}
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}


def _header(text: str) -> str:
    """Return a text as a header can have it: ASCII, or encoded in one line (RFC 2047)."""
    return text if text.isascii() else Header(text, "utf-8", maxlinelen=sys.maxsize).encode()


def _in_slack(message: Message) -> str:
    """Return title and text with the characters that Slack takes as markup escaped."""
    title, text = (
        part.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        for part in (message.title, message.text)
    )
    return f"*{title}*\n{text}"
