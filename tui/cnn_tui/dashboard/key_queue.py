"""Delivers keys one at a time, so that a key goes to what the previous one has opened."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from textual import events
from textual.app import App
from textual.dom import DOMNode
from textual.message_pump import MessagePump

WAIT_SECONDS = 1.0
"""Longest time for which a key waits for the effect of the previous one."""

ROUNDS = 2
"""A key makes a message, such as that of a submitted input, whose effect counts too."""


class KeyQueue:
    """Holds keys and pasted texts back until the previous one has taken effect.

    Textual sends a key to the widget focused when it arrives. Of several that arrive together, as
    when typed fast, all would go to the widget that had the focus before the first of them.
    """

    def __init__(self, app: App[Any], deliver: Callable[[events.Event], Awaitable[None]]) -> None:
        """Create an empty queue.

        Args:
            app: The app that receives the keys.
            deliver: Sends a key to the focused widget.
        """
        self._app, self._deliver = app, deliver
        self._events: deque[events.Event] = deque()
        self._waiting: asyncio.Task[None] | None = None
        """Waits for the effect of the previous key; None once it has taken effect."""

    @property
    def is_busy(self) -> bool:
        """True until the last key has taken effect."""
        return self._waiting is not None

    async def put(self, event: events.Event) -> None:
        """Deliver an event now, or after those before it."""
        self._events.append(event)
        if not self.is_busy:
            await self._deliver_next()

    async def _deliver_next(self) -> None:
        self._waiting = None
        if self._events:
            target = self._app.focused or self._app.screen
            await self._deliver(self._events.popleft())
            self._waiting = asyncio.create_task(self._wait(target.ancestors_with_self))

    async def _wait(self, nodes: Sequence[DOMNode]) -> None:
        """Wait until the nodes, and the screen on top, have handled the key."""
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                for _ in range(ROUNDS):
                    for node in nodes:
                        await _queue_handled(node)
                    for screen in self._app.screen_stack[-1:]:  # one that the key has opened
                        await _queue_handled(screen)
                    await _queue_handled(self._app)
        except TimeoutError:
            pass
        self._app.call_later(self._deliver_next)


async def _queue_handled(node: MessagePump) -> None:
    """Return once a node has handled all messages that are in its queue now."""
    handled = asyncio.Event()
    if node.call_later(handled.set):
        await handled.wait()
