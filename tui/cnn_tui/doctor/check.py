"""Result of a check."""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, TypeAlias

State: TypeAlias = Literal["ok", "warning", "error"]
"""`warning` if something could be better, `error` for a problem."""

Fact: TypeAlias = str | float | bool | Sequence[str] | None
"""Value of a fact; None if it is unknown or there is none."""

Facts: TypeAlias = Mapping[str, Fact]
"""Facts by name."""

NO_FACTS: Facts = {}


class Check(NamedTuple):
    """Result of a check."""

    name: str
    value: str
    state: State = "ok"
    advice: str = ""
    """Advice on what to do; empty if nothing needs to be done."""

    exit_code: int = 0
    """Exit code of the command because of it: not 0 if it keeps cnn-tui from training."""

    facts: Facts = NO_FACTS
    """Numbers and names in the value, for programs."""


class Group(NamedTuple):
    """Checks of one subject."""

    name: str
    checks: Sequence[Check]
