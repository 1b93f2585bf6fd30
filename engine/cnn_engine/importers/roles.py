"""Roles of imported series, guessed from their names."""

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
NEUTRAL = frozenset({"epoch", "step", "batch", "mean", "avg", "average", "metrics", "running"})
"""Words that do not distinguish series."""

WORDS = re.compile(r"[a-z]+[0-9]*")
CAMEL_CASE = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def words_of(name: str) -> frozenset[str]:
    """Return the words of a name such as `Loss/train`, `val_loss` or `trainLoss`."""
    return frozenset(WORDS.findall(CAMEL_CASE.sub(" ", name).lower()))


def roles_of(names: Iterable[str]) -> dict[Role, str]:
    """Return the best matching series for each role; roles without a match are left out.

    Of several matches the one with the fewest other words wins: `loss` before `box_loss`. If no
    series is named after validation, one named after the test is used as validation.
    """
    words_by_name = {name: words_of(name) for name in names}
    found = dict[Role, str]()
    for role in ROLES:
        matches = _matching(role, words_by_name, VALIDATION)
        if role.startswith("val") and not matches:
            matches = _matching(role, words_by_name, TEST)
        if matches:
            found[role] = min(
                matches, key=lambda name: (_other_words(words_by_name[name]), len(name), name)
            )
    return found


def _matching(
    role: Role, words_by_name: dict[str, frozenset[str]], validation: frozenset[str]
) -> list[str]:
    return [name for name, words in words_by_name.items() if _matches(role, words, validation)]


def _matches(role: Role, words: frozenset[str], validation: frozenset[str]) -> bool:
    if role == "lr":
        return "lr" in words or {"learning", "rate"} <= words
    quantity = LOSS if role.endswith("loss") else ACCURACY
    if not words & quantity:
        return False
    if role.startswith("val"):
        return bool(words & validation)
    return not words & (VALIDATION | TEST)


def _other_words(words: frozenset[str]) -> int:
    """Return the number of words that are not part of a role's name."""
    known = VALIDATION | TEST | TRAINING | LOSS | ACCURACY | RATE | NEUTRAL
    return len(words - known)
