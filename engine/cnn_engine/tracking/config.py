"""The config of a loop: what the user gives as `config=`."""

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

from cnn_engine.runlog.events import LOOP_TABLE
from cnn_engine.runlog.flat_config import config_values, flat_config


class Config(dict[str, Any]):
    """Config of a run, with its keys as attributes too: `config.lr`; changes are recorded."""

    def __init__(self, values: Mapping[str, Any], changed: Callable[[], None]) -> None:
        super().__init__(values)
        object.__setattr__(self, "_changed", changed)

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"the config has no {name!r}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __setitem__(self, name: str, value: Any) -> None:
        super().__setitem__(name, value)
        self._changed()

    def __reduce__(self) -> tuple[type[dict[str, Any]], tuple[dict[str, Any]]]:
        """Pickle a plain dictionary, as checkpoints contain configs."""
        return dict, (dict(self),)

    def __deepcopy__(self, memo: dict[int, Any]) -> "Config":
        """Return a copy whose changes are not recorded."""
        return Config(deepcopy(dict(self), memo), lambda: None)

    def __copy__(self) -> "Config":
        """Return a copy whose changes are not recorded."""
        return Config(self, lambda: None)

    def update(self, values: Any = None, /, **more: Any) -> None:
        """Set several keys, from what `init` takes as a config."""
        more.pop("allow_val_change", None)
        super().update(config_values(values) | more)
        self._changed()

    def setdefaults(self, values: Any) -> None:
        """Set the keys that are missing."""
        self.update({key: value for key, value in config_values(values).items() if key not in self})

    def as_dict(self) -> dict[str, Any]:
        """Return a copy as a plain dictionary."""
        return dict(self)


def stored_config(config: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return a config as events store it: a table of flat keys."""
    stored = flat_config(config)
    return {LOOP_TABLE: stored} if stored else {}
