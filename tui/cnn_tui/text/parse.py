"""Parsers of the values that can be changed while training."""

import math

from cnn_engine.config.limits import MAX_EPOCHS


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
    is_number = text.isascii() and text.isdigit() and len(text) <= len(str(MAX_EPOCHS))
    if not is_number or not 1 <= int(text) <= MAX_EPOCHS:
        raise ValueError(f"Expected a whole number from 1 to {MAX_EPOCHS}.")
    return int(text)
