"""Names of series, as they are logged."""

from collections.abc import Iterable

from cnn_engine.runlog.series import MAX_NAME

MAX_CLASSES = 10_000
"""Classes of a run; further ones are neither named nor counted."""


def clean_name(name: str) -> str:
    """Return a name of at most `MAX_NAME` characters, all of them printable."""
    text = name.strip()
    if len(text) > MAX_NAME:
        text = text[: MAX_NAME - 1] + "…"
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else "�" for char in text)


def clean_classes(names: Iterable[object]) -> tuple[str, ...]:
    """Return the names of classes, all of them printable."""
    return tuple(clean_name(str(name)) for name in names)[:MAX_CLASSES]
