"""Roles of the series that other programs log, guessed from their names."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
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

MAX_FRACTION = 1.0 + 1e-6
MAX_PERCENT = 100.0 + 1e-4
"""Greatest accuracies that other programs log, with room for rounding."""

VALIDATION = frozenset("val valid validate validation vali eval evaluation dev holdout".split())
TEST = frozenset({"test", "testing", "tst"})
TRAINING = frozenset({"train", "training", "trn"})
SPLITS = VALIDATION | TEST | TRAINING
LOSS = frozenset({"loss", "losses"})
ACCURACY = frozenset({"accuracy", "acc", "top1", "acc1", "prec1", "accuracy1"})
RATE = frozenset({"lr", "rate", "learning"})
STEPWISE = frozenset({"step", "batch", "iter", "iteration"})
EPOCHWISE = frozenset({"epoch"})
NEUTRAL = (
    STEPWISE
    | EPOCHWISE
    | frozenset("mean avg average metrics metric running total overall global value vs and".split())
    | frozenset("history scalars data set categorical sparse binary multiclass".split())
)
"""Words that do not distinguish series."""

OTHER_QUANTITIES = frozenset(
    "best max min std var gap ratio diff delta balanced per class weight scale scaler err error "
    "errors hparam hparams".split()
)
"""With these words it is not the loss, accuracy or rate itself: the best so far, a loss scale."""

OF_VALUES = re.compile(r"\bvalue (function )?loss")
"""In reinforcement learning, the loss of the estimated values is one of several; elsewhere the word
means nothing, as in TensorBoard's column `Value`."""

WORDS = re.compile(r"[a-z]+[0-9]*")
CAMEL_CASE = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
TOP_K = re.compile(r"\b(top|acc|accuracy|prec)[ _-]?@?[ _-]?(\d+|k)(?![a-z0-9])")
"""Accuracy at k, such as `top_5`, `Acc@1` or `top-k`."""
OTHER_TOP_K = re.compile(r"(?:top|acc|accuracy|prec)(?:k|[02-9]|\d\d+)")


@dataclass
class Roles:
    """Series by role."""

    assigned: dict[Role, str] = field(default_factory=dict)
    """Roles without a series are left out."""

    unclear: dict[Role, list[str]] = field(default_factory=dict)
    """Series of which none is clearly the one for a role."""


def words_of(name: str) -> list[str]:
    """Return the words of a name such as `Loss/train`, `val_loss`, `trainLoss` or `Acc@1`."""
    lower = CAMEL_CASE.sub(" ", name).lower().replace("_", " ")
    return WORDS.findall(TOP_K.sub(r"\1\2", lower))


def roles_of(names: Iterable[str], chosen: Mapping[Role, str] | None = None) -> Roles:
    """Return the series for each role, as far as their names are clear.

    Of several matches the one without further words wins: `loss` before `box_loss`. If all of them
    have further words, such as `box_loss` and `cls_loss`, it is unclear. If no series is named
    after validation, one named after the test is used as validation. An accuracy whose name has no
    split is the validation's if there is a validation loss and no other accuracy.

    Args:
        names: Names of the series: columns, or directory and tag.
        chosen: Series by role that the user has chosen; empty for none.
    """
    chosen = chosen or {}
    series = [_Named(name) for name in sorted(set(names) - set(chosen.values()))]
    roles = Roles({role: name for role, name in chosen.items() if name})
    for role in ROLES:
        if role not in chosen:
            _assign(role, [named for named in series if named.fits(role)], roles)
    for split in ("val_loss", "val_accuracy"):
        if split not in chosen and split not in roles.assigned and split not in roles.unclear:
            _assign(split, [named for named in series if named.fits(split, TEST)], roles)
    bare = roles.assigned.get("train_accuracy", "")
    is_only = "val_accuracy" not in {*roles.assigned, *roles.unclear, *chosen}
    is_guessed = "train_accuracy" not in chosen and "val_loss" in roles.assigned
    if bare and is_only and is_guessed and not split_of(bare):
        roles.assigned["val_accuracy"] = roles.assigned.pop("train_accuracy")
    return roles


class _Named:
    """The name of a series, with its split and quantity."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.split = split_of(name)
        self.quantity = _deciding_word(name, LOSS, ACCURACY)
        self.words = frozenset(words_of(name))
        self.others = len(self.words - SPLITS - LOSS - ACCURACY - RATE - NEUTRAL)
        self.others += bool(OF_VALUES.search(" ".join(words_of(name))))

    def fits(self, role: Role, validation: Collection[str] = VALIDATION) -> bool:
        """Return True if this may be the series of a role."""
        if self.words & OTHER_QUANTITIES or any(map(OTHER_TOP_K.fullmatch, self.words)):
            return False
        if role == "lr":
            return "lr" in self.words or {"learning", "rate"} <= self.words
        if self.quantity not in (LOSS if role.endswith("loss") else ACCURACY):
            return False
        if role.startswith("val"):
            return self.split in validation
        return not self.split or self.split in TRAINING

    def rank(self, role: Role) -> tuple[int, bool, bool, int, str]:
        """Return a sort key: the best series for a role has the lowest."""
        # Single steps for the curve of the training loss, means over the epoch for all else.
        worse = EPOCHWISE if role == "train_loss" else STEPWISE
        is_worse = bool(self.words & worse)
        return self.others, is_worse, not self.split, len(self.name), self.name


def _assign(role: Role, matches: list[_Named], roles: Roles) -> None:
    matches.sort(key=lambda named: named.rank(role))
    if not matches:
        return
    # Several learning rates are those of parameter groups, of which the first stands for all.
    if matches[0].others and len(matches) > 1 and role != "lr":
        roles.unclear[role] = [named.name for named in matches]
    else:
        roles.assigned[role] = matches[0].name


def split_of(name: str) -> str:
    """Return the word that says the split, such as `val`; empty if there is none."""
    return _deciding_word(name, VALIDATION, TEST, TRAINING)


def _deciding_word(name: str, *groups: frozenset[str]) -> str:
    """Return the word of a name that decides to which of the groups it belongs; "" without one.

    It is in the last part between slashes that has words of a single group. Without such a part, it
    is the last word of any group in the first part with one: TensorBoard's `add_scalars` appends
    the key to the name of its directory, as in `Train vs. Validation Loss_Train/…`.
    """
    found = [
        [word for word in words_of(part) if any(word in group for group in groups)]
        for part in name.split("/")
    ]
    for words in reversed(found):
        if sum(not group.isdisjoint(words) for group in groups) == 1:
            return words[-1]
    return next((words[-1] for words in found if words), "")
