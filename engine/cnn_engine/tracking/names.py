"""Names of series, as they are logged."""

from collections.abc import Iterable

from cnn_engine.runlog.series import MAX_NAME
from cnn_engine.tracking.arguments import names

MAX_CLASSES = 10_000
"""Classes of a run; further ones are neither named nor counted."""


def clean_name(name: str, limit: int = MAX_NAME) -> str:
    """Return a name or another text in one line of at most `limit` printable characters."""
    text = " ".join(name.split())
    if len(text) > limit:
        text = text[: limit - 1] + "…"
    return printable(text)


def printable(text: str) -> str:
    """Return a text without characters that a terminal would act on."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else "�" for char in text)


def clean_classes(classes: Iterable[object] | None) -> tuple[str, ...]:
    """Return the names of classes, all of them printable.

    Raises:
        ConfigError: they are no list.
    """
    return tuple(clean_name(name) for name in names("classes", classes))[:MAX_CLASSES]
