"""Looking at an app under test."""

import os
import time
from pathlib import Path

SCREENS = Path(__file__).parent / "data" / "screens"


async def settle(pilot):
    """Wait until all that is known has been read and drawn."""
    await pilot.pause()
    await pilot.pause()


async def shown(pilot, text, seconds=30.0):
    """Wait until a text is on the screen; fail if it does not come."""
    deadline = time.monotonic() + seconds
    while text not in text_of(pilot.app):
        assert time.monotonic() < deadline, f"no {text!r} in:\n{text_of(pilot.app)}"
        await pilot.pause(0.05)


def text_of(app):
    """What is on the screen."""
    strips = app.screen._compositor.render_strips()
    return "\n".join(strip.text.rstrip() for strip in strips) + "\n"


async def looks_like(pilot, name, seconds=10.0):
    """Wait until the screen is the text that is kept under that name; fail if it never is.

    Keeps it instead where that is asked. On a busy machine the last of several changes, such as a
    scroll to the end, can come after the screen is settled.
    """
    path = SCREENS / f"{name}.txt"
    if os.environ.get("UPDATE_SCREENS"):
        await pilot.pause(0.5)
        path.parent.mkdir(exist_ok=True)
        path.write_text(text_of(pilot.app), encoding="utf-8")
    kept, deadline = path.read_text(encoding="utf-8"), time.monotonic() + seconds
    while (seen := text_of(pilot.app)) != kept and time.monotonic() < deadline:
        await pilot.pause(0.05)
    assert seen == kept, f"see tests/data/README.md; now:\n{seen}"
