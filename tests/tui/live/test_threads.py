"""Calls in threads that may hang."""

import asyncio
import subprocess
import sys
import threading

import pytest

from cnn_tui.live.threads import in_thread


async def test_result_and_error_of_the_function_are_passed_on():
    def fail():
        raise LookupError("no such thing")

    assert await in_thread(lambda: 42) == 42
    with pytest.raises(LookupError, match="no such thing"):
        await in_thread(fail)


async def test_result_after_cancellation_is_ignored():
    begin, called = threading.Event(), threading.Event()

    def wait():
        begin.wait(60)
        called.set()

    task = asyncio.create_task(in_thread(wait))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    begin.set()
    called.wait(60)
    await asyncio.sleep(0.01)


def test_program_ends_while_a_call_hangs():
    program = """
import asyncio, threading
from cnn_tui.live.threads import in_thread
async def main():
    asyncio.create_task(in_thread(threading.Event().wait))
    await asyncio.sleep(0.05)
asyncio.run(main())
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
