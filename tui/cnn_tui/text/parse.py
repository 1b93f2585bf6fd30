"""Values that people type for a run that goes on."""

import math


def parse_lr(text: str) -> float:
    """A learning rate as typed.

    Raises:
        ValueError: it is none; why, in a sentence.
    """
    try:
        rate = float(text)
    except ValueError:
        raise ValueError("A number is needed, such as 3e-4 or 0.0003.") from None
    if not 0 < rate < math.inf:
        raise ValueError("It must be greater than 0 and finite.")
    return rate


def parse_epochs(text: str) -> int:
    """A number of epochs as typed.

    Raises:
        ValueError: it is none; why, in a sentence.
    """
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise ValueError("A whole number is needed, 1 or more.")
    return int(text)
