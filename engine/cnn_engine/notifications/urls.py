"""URLs that messages are sent to. They are secrets: only `masked_url` may be shown."""

import re
from collections.abc import Sequence
from urllib.parse import SplitResult, urlsplit

from cnn_engine.errors import ConfigError

MASK = "…"
"""Stands for the secret part of a URL, or for a command."""

NTFY_SCHEMES = {"ntfy": "https", "ntfy+http": "http"}
"""Schemes of topics of an ntfy server, with the scheme of its requests."""

SCHEMES = ("http", "https", *NTFY_SCHEMES)

URL_OPTION, COMMAND_OPTION = "--notify", "--on-end"
"""Options of the command line whose values are secrets."""

OFF = "off"
"""Value of the option for no URL at all."""

MAX_URL_LENGTH = 4000

UNPRINTABLE = re.compile(r"[\x00-\x20\x7f-\x9f\s]")


def check_url(url: str, source: str = URL_OPTION) -> str:
    """Return a URL that messages can be sent to.

    Args:
        url: The URL, as the user gave it.
        source: The option or key that gave it, which the error names.

    Raises:
        ConfigError: it is not such a URL; the message shows no secret.
    """
    shown, text = masked_url(url), url.strip()
    if MASK in text:
        raise ConfigError(f"{source} {shown}: is masked, as records show it; give the whole URL")
    if "://" not in text:
        raise ConfigError(f"{source}: not a URL; write https://HOST/PATH or ntfy://HOST/TOPIC")
    if len(text) > MAX_URL_LENGTH or UNPRINTABLE.search(text) or not text.isascii():
        raise ConfigError(
            f"{source} {shown}: has spaces or other characters that a URL cannot have"
        )
    parts = _split(text)
    if parts is None or not parts.hostname:
        raise ConfigError(f"{source} {shown}: has no valid host")
    if parts.scheme not in SCHEMES:
        raise ConfigError(f"{source} {shown}: only http, https and ntfy URLs can be used")
    if parts.scheme in NTFY_SCHEMES and not parts.path.strip("/"):
        raise ConfigError(f"{source} {shown}: has no topic; write ntfy://HOST/TOPIC")
    return text


def masked_url(url: str) -> str:
    """Return `https://hooks.slack.com/…`: scheme and host only; `…` if it is not a URL."""
    parts = _split(url.strip())
    if parts is None or not parts.scheme or not parts.hostname:
        return MASK
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    if not re.fullmatch(r"[\w.:\[\]-]{1,253}", host, re.ASCII):
        return MASK
    port = f":{parts.port}" if parts.port is not None else ""
    return f"{parts.scheme}://{host}{port}/{MASK}"


def masked_words(words: Sequence[str]) -> tuple[str, ...]:
    """Return the words of a command line without URLs and commands of notifications."""
    masked: list[str] = []
    option = ""
    for word in words:
        name, equals, value = word.partition("=")
        if option:
            masked.append(_masked_value(option, word))
            option = ""
        elif name in (URL_OPTION, COMMAND_OPTION) and equals:
            masked.append(f"{name}={_masked_value(name, value)}")
        else:
            masked.append(word)
            option = word if word in (URL_OPTION, COMMAND_OPTION) else ""
    return tuple(masked)


def _masked_value(option: str, value: str) -> str:
    """Return the value of an option as records show it; `OFF` and an empty one are no secrets."""
    if value in ("", OFF):
        return value
    return masked_url(value) if option == URL_OPTION else MASK


def _split(url: str) -> SplitResult | None:
    """Return the parts of a URL; None if it, or its port, is invalid."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts
