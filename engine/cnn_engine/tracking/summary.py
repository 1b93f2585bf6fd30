"""Final values of a run, as W&B has them: `run.summary["best"] = 0.9`."""

from collections.abc import Callable
from typing import Any


class Summary(dict[str, Any]):
    """A dictionary whose numbers are recorded as series when they are set."""

    def __init__(self, log: Callable[[dict[str, Any]], None]) -> None:
        super().__init__()
        self._log = log

    def __setitem__(self, name: str, value: Any) -> None:
        super().__setitem__(name, value)
        self._log({name: value})

    def __reduce__(self) -> tuple[type[dict[str, Any]], tuple[dict[str, Any]]]:
        """Pickle and copy a plain dictionary."""
        return dict, (dict(self),)

    def update(self, values: Any = (), /, **more: Any) -> None:
        """Set several values."""
        new = dict(values, **more)
        super().update(new)
        self._log(new)
