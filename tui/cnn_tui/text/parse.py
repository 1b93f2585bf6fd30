"""Parsers of the values that can be changed while training."""

import math


def parse_lr(text: str) -> float:
    """Return a learning rate.

    Raises:
        ValueError: the text is no positive finite number; the message is for the user.
    """
    try:
        lr = float(text)
    except ValueError:
        raise ValueError("Expected a number, such as 3e-4 or 0.0003.") from None
    if not 0 < lr < math.inf:
        raise ValueError("The learning rate must be greater than 0 and finite.")
    return lr


def parse_epochs(text: str) -> int:
    """Return a number of epochs.

    Raises:
        ValueError: the text is no positive integer; the message is for the user.
    """
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise ValueError("Expected a whole number, 1 or more.")
    return int(text)
