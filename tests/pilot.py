"""Looking at an app under test."""

import asyncio
import os
import time
from pathlib import Path

import textual.app
import textual.pilot
from textual._context import active_app

SCREENS = Path(__file__).parent / "data" / "screens"

SHORT_SECONDS = 0.1
"""Timers up to this are part of one thing that is being done, such as a piece of a long log."""


async def settle(pilot):
    """Wait until all messages have been handled and all that is known has been drawn."""
    await pilot.pause()


async def _wait_until_quiet(*_seconds, most=60.0):
    """Wait until nothing is left to be done for the app under test.

    Textual's own function waits until the process uses no processor time for a moment. On a busy
    machine that is also so in the middle of something, when the process does not get any.
    """
    app, deadline = active_app.get(), time.monotonic() + most
    pilot, quiet = textual.pilot.Pilot(app), 0
    while quiet < 2 and not app._exit and app._exception is None:
        assert time.monotonic() < deadline, "the app is never quiet"
        await pilot._wait_for_screen()
        # A message that another widget has sent meanwhile may be in hand: so twice.
        quiet = quiet + 1 if _is_quiet(app) else 0
        await asyncio.sleep(0 if quiet else 0.002)


textual.app.wait_for_idle = textual.pilot.wait_for_idle = _wait_until_quiet


def _is_quiet(app):
    """Return whether nothing waits: no message, callback, short timer, worker or repaint."""
    screen = app.screen
    pumps = [
        app,
        *(pump for each in app.screen_stack for pump in each.walk_children(with_self=True)),
    ]
    return not (
        any(pump.message_queue_size or pump._pending_message for pump in pumps)
        or any(pump._next_callbacks or any(map(_is_due_soon, pump._timers)) for pump in pumps)
        or _busy_workers(app)
        or screen._callbacks
        or screen._dirty_widgets
        or screen._layout_required
        or screen._repaint_required
    )


def _busy_workers(app):
    """Return the number of unfinished workers that do not wait for the answer of a dialog."""
    unfinished = sum(not worker.is_finished for worker in app.workers)
    awaited = (result.future for screen in app.screen_stack for result in screen._result_callbacks)
    return unfinished - sum(bool(future and future._callbacks) for future in awaited)


def _is_due_soon(timer):
    is_once = timer._repeat == 0
    return is_once and timer._interval < SHORT_SECONDS and timer._task and not timer._task.done()


async def wait_for_text(pilot, text, seconds=30.0):
    """Wait until a text is on the screen; fail if it does not come."""
    deadline = time.monotonic() + seconds
    while text not in screen_text(pilot.app):
        assert time.monotonic() < deadline, f"no {text!r} in:\n{screen_text(pilot.app)}"
        await pilot.pause(0.05)


def screen_text(app):
    """Return the text on the screen."""
    strips = app.screen._compositor.render_strips()
    return "\n".join(strip.text.rstrip() for strip in strips) + "\n"


async def assert_screen(pilot, name, seconds=30.0):
    """Wait until the screen is the text that is kept under that name; fail if it never is.

    Keeps it instead where that is asked. On a busy machine the last of several changes, such as a
    scroll to the end, can come after the screen is settled.
    """
    path = SCREENS / f"{name}.txt"
    if os.environ.get("UPDATE_SCREENS"):
        await pilot.pause(0.5)
        path.parent.mkdir(exist_ok=True)
        path.write_text(screen_text(pilot.app), encoding="utf-8")
    kept, deadline = path.read_text(encoding="utf-8"), time.monotonic() + seconds
    while (seen := screen_text(pilot.app)) != kept and time.monotonic() < deadline:
        await pilot.pause(0.05)
    assert seen == kept, f"see tests/data/README.md; now:\n{seen}"
