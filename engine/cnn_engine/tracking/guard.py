"""Keeps errors of the recording away from the loop."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from cnn_engine.errors import error_text

Method = TypeVar("Method", bound=Callable[..., Any])


def never_raises(default: object) -> Callable[[Method], Method]:
    """Let a method of a run return `default` instead of raising an exception, and warn once.

    KeyboardInterrupt and SystemExit pass through.
    """

    def decorate(method: Method) -> Method:
        @wraps(method)
        def guarded(run: Any, *args: object, **kwargs: object) -> object:
            try:
                return method(run, *args, **kwargs)
            except Exception as error:  # noqa: BLE001 - the loop must go on
                name = method.__name__.strip("_")
                run.warn(f"call {name}", f"{name} failed, training goes on: {error_text(error)}")
                return default

        return cast("Method", guarded)

    return decorate
