"""Names of series, as they are logged."""

from cnn_engine.runlog.series import MAX_NAME


def clean_name(name: str) -> str:
    """Return a name of at most `MAX_NAME` characters, all of them printable."""
    text = name.strip()
    if len(text) > MAX_NAME:
        text = text[: MAX_NAME - 1] + "…"
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else "�" for char in text)
