"""Stands for whatever W&B has and a run has not, so that a script goes on."""

from collections.abc import Iterator
from typing import Any, Self


class Nothing:
    """Returns itself for every attribute, call and key, and is false, empty and without text."""

    def __call__(self, *_: object, **__: object) -> Self:
        """Return itself."""
        return self

    def __getattr__(self, name: str) -> Self:
        """Return itself, but for names that Python looks for, such as `__array__`."""
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __getitem__(self, _: object) -> Self:
        return self

    def __setitem__(self, _: object, __: object) -> None:
        pass

    def __iter__(self) -> Iterator[Any]:
        return iter(())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def __len__(self) -> int:
        return 0

    def __bool__(self) -> bool:
        return False

    def __str__(self) -> str:
        return ""


NOTHING = Nothing()
"""The only one."""
