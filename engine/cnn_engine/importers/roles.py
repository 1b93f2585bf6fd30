"""Roles of the series of other programs, guessed from their names."""

import re
from collections.abc import Iterable
from typing import Literal, TypeAlias

Role: TypeAlias = Literal["train_loss", "val_loss", "train_accuracy", "val_accuracy", "lr"]
ROLES: dict[Role, str] = {
    "train_loss": "training loss",
    "val_loss": "validation loss",
    "train_accuracy": "training accuracy",
    "val_accuracy": "validation accuracy",
    "lr": "learning rate",
}
"""Roles of a series, with their names in messages."""

VALIDATION = frozenset({"val", "valid", "validation", "eval", "evaluation", "dev"})
TEST = frozenset({"test", "testing"})
TRAINING = frozenset({"train", "training"})
LOSS = frozenset({"loss", "losses"})
ACCURACY = frozenset({"accuracy", "acc", "top1"})
RATE = frozenset({"lr", "rate", "learning"})
FILLING = frozenset({"epoch", "step", "batch", "mean", "avg", "average", "metrics", "running"})
"""Words that do not distinguish series."""

WORDS = re.compile(r"[a-z]+[0-9]*")
HUMPS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def words_of(name: str) -> frozenset[str]:
    """Return the words of a name such as `Loss/train`, `val_loss` or `trainLoss`."""
    return frozenset(WORDS.findall(HUMPS.sub(" ", name).lower()))


def roles_of(names: Iterable[str]) -> dict[Role, str]:
    """Return the best matching series for each role; roles without a match are left out.

    Of several matches the one with the fewest other words wins: `loss` before `box_loss`. Series
    named test are used as validation if none is named so.
    """
    known = {name: words_of(name) for name in names}
    found = dict[Role, str]()
    for role in ROLES:
        fitting = [name for name, words in known.items() if _fits(role, words, VALIDATION)]
        if role.startswith("val") and not fitting:
            fitting = [name for name, words in known.items() if _fits(role, words, TEST)]
        if fitting:
            found[role] = min(
                fitting, key=lambda name: (_other_words(known[name]), len(name), name)
            )
    return found


def _fits(role: Role, words: frozenset[str], validation: frozenset[str]) -> bool:
    if role == "lr":
        return "lr" in words or {"learning", "rate"} <= words
    measures = LOSS if role.endswith("loss") else ACCURACY
    if not words & measures:
        return False
    if role.startswith("val"):
        return bool(words & validation)
    return not words & (VALIDATION | TEST)


def _other_words(words: frozenset[str]) -> int:
    """Return the number of words that are not part of a role's name."""
    known = VALIDATION | TEST | TRAINING | LOSS | ACCURACY | RATE | FILLING
    return len(words - known)
