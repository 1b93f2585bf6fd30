"""Roles of the series that a loop logs."""

from collections.abc import Mapping
from typing import NamedTuple

from cnn_engine.runlog.roles import TEST, VALIDATION, Role, roles_of, split_of
from cnn_engine.runlog.series import MAX_SERIES
from cnn_engine.tracking.epoch_values import VALIDATION_ROLES
from cnn_engine.tracking.position import EPOCH_NAMES, STEP_NAMES


class Shape(NamedTuple):
    """Meaning of the names in a call of `log`."""

    series: tuple[tuple[str, Role | None], ...]
    """Names of the series with their roles."""

    roles: frozenset[Role | None]

    trains: bool
    """True if a series does not belong to a validation or test."""

    validates: bool
    """True if all of them belong to a validation."""

    step_name: str
    """Name of the value that is the number of the step; empty without one."""

    epoch_name: str
    """Name of the value that is the number of the epoch; empty without one."""


class SeriesNames:
    """The names of all series so far."""

    def __init__(self, chosen: Mapping[Role, str]) -> None:
        """Guess roles.

        Args:
            chosen: Series by role instead of the guessed ones.
        """
        self._chosen = dict(chosen)
        self._trains: dict[str, bool] = {}
        """Series so far, and whether they belong to training."""
        self._candidates: set[str] = set()
        """Series whose names fit a role."""
        self._roles: dict[str, Role] = {}
        self._shapes: dict[tuple[str, ...], Shape] = {}
        self.unclear: dict[Role, list[str]] = {}
        """Series of which none is clearly the one for a role."""

    def name_of(self, role: Role) -> str:
        """Return the series with a role; empty if there is none."""
        return next((name for name, found in self._roles.items() if found == role), "")

    def shape(self, names: Mapping[str, object]) -> Shape:
        """Return what the names in a call of `log` mean."""
        key = tuple(names)
        return self._shapes.get(key) or self._new_shape(key)

    def _new_shape(self, names: tuple[str, ...]) -> Shape:
        positions = (*STEP_NAMES, *EPOCH_NAMES)
        series = [name for name in names if name not in positions]
        self._learn([name for name in series if name not in self._trains])
        self._keep_training_accuracy(series)
        named = [(name, self._roles.get(name)) for name in series]
        roles = tuple(sorted(named, key=lambda pair: pair[1] in VALIDATION_ROLES))  # after training
        shape = Shape(
            series=roles,
            roles=frozenset(role for _, role in roles),
            trains=any(self._trains[name] for name in series),
            validates=bool(series) and all(split_of(name) in VALIDATION for name in series),
            step_name=next((name for name in STEP_NAMES if name in names), ""),
            epoch_name=next((name for name in EPOCH_NAMES if name in names), ""),
        )
        if len(self._shapes) < MAX_SERIES:
            self._shapes[names] = shape
        return shape

    def _keep_training_accuracy(self, series: list[str]) -> None:
        """Keep the role of an accuracy that is logged with the training loss alone.

        Its name may say nothing, and fit the validation too once a validation is logged.
        """
        roles = {self._roles.get(name): name for name in series}
        is_of_training = "train_loss" in roles and all(self._trains[name] for name in series)
        if is_of_training and "train_accuracy" in roles:
            self._chosen.setdefault("train_accuracy", roles["train_accuracy"])

    def _learn(self, names: list[str]) -> None:
        for name in names:
            self._trains[name] = split_of(name) not in VALIDATION | TEST
            found = roles_of([name])
            if found.assigned or found.unclear or name in self._chosen.values():
                self._candidates.add(name)
        if self._candidates.isdisjoint(names):
            return
        roles = roles_of(self._candidates, self._chosen)
        self._roles = {name: role for role, name in roles.assigned.items()}
        self.unclear = roles.unclear
        self._trains |= {name: not role.startswith("val") for name, role in self._roles.items()}
        self._shapes.clear()
