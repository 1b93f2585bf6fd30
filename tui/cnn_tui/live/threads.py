"""Calls in threads, so that a file system that hangs blocks neither the keys nor the exit."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TypeVar

Result = TypeVar("Result")


async def in_thread(function: Callable[[], Result]) -> Result:
    """Call a function in a new thread, and return its result.

    `asyncio.to_thread` would not do: the program waits for its threads at the end, forever if one
    reads from a server that does not answer. These threads are daemons.

    Raises:
        Exception: the one that the function raised.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Result] = loop.create_future()

    def set_result(result: Result) -> None:
        if not future.done():  # the caller may have been cancelled
            future.set_result(result)

    def set_error(error: Exception) -> None:
        if not future.done():
            future.set_exception(error)

    def call() -> None:
        try:
            finish = partial(set_result, function())
        except Exception as error:  # noqa: BLE001 - raised where the result is awaited
            finish = partial(set_error, error)
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(finish)

    threading.Thread(target=call, name="reader", daemon=True).start()
    return await future
