"""Waiting for an app under test, and reading its screen."""

import asyncio
import os
import time
from pathlib import Path

import textual.app
import textual.pilot
from textual import events
from textual._context import active_app
from textual.css.stylesheet import Stylesheet
from textual.keys import _character_to_key

from cnn_tui.dashboard.app import Dashboard

SCREENS = Path(__file__).parent / "data" / "screens"

SHORT_SECONDS = 0.1
"""Timers up to this many seconds belong to work in progress, such as reading a long log."""

SIZES = [(200, 60), (120, 36), (80, 24), (60, 20), (40, 12)]
"""Columns and rows of terminals whose screens are saved."""

TWO_SIZES = [(120, 36), (40, 12)]
"""A common size and the smallest, for what does not depend on the layout at each size."""


async def settle(pilot):
    """Wait until all messages are handled and the screen is drawn."""
    await pilot.pause()


async def press(pilot, *keys):
    """Press keys, and wait until the app is idle before and after."""
    await settle(pilot)
    await pilot.press(*keys)
    await settle(pilot)


async def press_together(pilot, *keys):
    """Press keys that arrive in one piece, as when typed fast, and wait until the app is idle."""
    await settle(pilot)
    for key in keys:
        name = key if len(key) > 1 else _character_to_key(key)
        pilot.app._driver.send_message(events.Key(name, key if len(key) == 1 else None))
    await settle(pilot)


async def _wait_until_idle(*_seconds, timeout=60.0):
    """Wait until the app under test has nothing left to do; return False if it has ended.

    Textual's own functions wait until the process uses no CPU time for a moment, which on a busy
    machine also happens in the middle of work, and send a message to every widget.
    """
    app, deadline = active_app.get(), time.monotonic() + timeout
    idle_checks = 0
    while idle_checks < 2:
        if app._exit or app._exception is not None:
            return False
        assert time.monotonic() < deadline, "the app is never idle"
        if not _has_handled_all(app):
            idle_checks = 0
            await asyncio.sleep(0.001)
        elif _has_to_draw(app.screen):
            idle_checks = 0
            app.screen._on_timer_update()
            await asyncio.sleep(0)
        else:
            # Twice, as a message from another widget may be about to arrive.
            idle_checks += 1
            await asyncio.sleep(0)
    return True


def _parse_once():
    """Make all apps share the rules that they parse, which takes a tenth of a test's time."""
    parse, parsed = Stylesheet._parse_rules, {}

    def parse_rules(sheet, *css, **options):
        key = css, *options.items(), *sheet._variables.items()
        if key not in parsed:
            parsed[key] = parse(sheet, *css, **options)
        return parsed[key]

    Stylesheet._parse_rules = parse_rules


_parse_once()
textual.app.wait_for_idle = textual.pilot.wait_for_idle = _wait_until_idle
textual.pilot.Pilot._wait_for_screen = _wait_until_idle


def _has_handled_all(app):
    """Return True if no message, callback, short timer, animation or worker is pending."""
    pumps = [
        app,
        *(pump for opened in app.screen_stack for pump in opened.walk_children(with_self=True)),
    ]
    return all(map(_waits_for_messages, pumps)) and not (
        any(pump._next_callbacks or any(map(_is_due_soon, pump._timers)) for pump in pumps)
        or app.animator._animations
        or app.animator._scheduled
        or _busy_workers(app)
        or (isinstance(app, Dashboard) and app.key_queue.is_busy)
    )


def _has_to_draw(screen):
    """Return True if a layout, a repaint or a callback after it is pending."""
    return bool(
        screen._callbacks
        or screen._dirty_widgets
        or screen._layout_required
        or screen._scroll_required
        or screen._repaint_required
    )


def _waits_for_messages(pump):
    """Return True if a widget, screen or app has handled all its messages, or has ended."""
    queue = pump._message_queue
    return (
        pump._closing
        or pump._closed
        or (queue.empty() and not pump._pending_message and bool(queue.ready_event._waiters))
    )


def _busy_workers(app):
    """Return the number of unfinished workers that do not wait for the result of a dialog."""
    unfinished = sum(not worker.is_finished for worker in app.workers)
    awaited = (result.future for screen in app.screen_stack for result in screen._result_callbacks)
    return unfinished - sum(bool(future and future._callbacks) for future in awaited)


def _is_due_soon(timer):
    is_once = timer._repeat == 0
    return is_once and timer._interval < SHORT_SECONDS and timer._task and not timer._task.done()


async def wait_for_text(pilot, text, seconds=30.0):
    """Wait until a text is on the screen; fail after `seconds`."""
    deadline = time.monotonic() + seconds
    while text not in screen_text(pilot.app):
        assert time.monotonic() < deadline, f"no {text!r} in:\n{screen_text(pilot.app)}"
        await pilot.pause(0.05)


def screen_text(app):
    """Return the text on the screen."""
    strips = app.screen._compositor.render_strips()
    return "\n".join(strip.text.rstrip() for strip in strips) + "\n"


async def assert_screen(pilot, name, seconds=30.0):
    """Wait until the screen equals the stored one of that name; fail after `seconds`.

    With UPDATE_SCREENS set, store the screen instead. On a busy machine the last of several
    changes, such as a scroll to the end, can come after `settle`.
    """
    path = SCREENS / f"{name}.txt"
    if os.environ.get("UPDATE_SCREENS"):
        await pilot.pause(0.5)
        path.parent.mkdir(exist_ok=True)
        path.write_text(screen_text(pilot.app), encoding="utf-8")
    stored, deadline = path.read_text(encoding="utf-8"), time.monotonic() + seconds
    while (screen := screen_text(pilot.app)) != stored and time.monotonic() < deadline:
        await pilot.pause(0.05)
    assert screen == stored, f"see tests/data/README.md; now:\n{screen}"


def record_repaints(widgets):
    """Return a list that grows with every repaint of the widgets."""
    repaints = []
    for widget in widgets:
        widget.refresh_line = repaints.append
        widget.refresh = lambda *regions, **_: repaints.append(regions)
    return repaints


async def repaints_while_idle(pilot):
    """Return the repaints of all panels while the screen reads three times and nothing is new."""
    repaints = record_repaints(pilot.app.screen.query("Panel"))
    for _ in range(3):
        pilot.app.screen.poll()
        await settle(pilot)
    return repaints
