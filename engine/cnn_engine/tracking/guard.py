"""Keeps errors of the recording away from the loop."""

import re
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from cnn_engine.errors import UserError, error_text

NUMBER = re.compile(r"\d+")

Method = TypeVar("Method", bound=Callable[..., Any])


def never_raises(default: object) -> Callable[[Method], Method]:
    """Let a method of a run return `default` instead of raising an exception, and warn of it.

    Messages that differ in numbers only are reported once.
    KeyboardInterrupt and SystemExit pass through.
    """

    def decorate(method: Method) -> Method:
        @wraps(method)
        def guarded(run: Any, *args: object, **kwargs: object) -> object:
            try:
                return method(run, *args, **kwargs)
            except Exception as error:  # noqa: BLE001 - the loop must go on
                name = method.__name__.strip("_")
                reason = str(error) if isinstance(error, UserError) else error_text(error)
                text = f"{name} failed, training goes on: {reason}"
                run.warn(NUMBER.sub("", text), text)
                return default

        return cast("Method", guarded)

    return decorate
