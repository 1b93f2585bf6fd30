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


def assert_looks_like(app, name):
    """Compare with the text that is kept under that name, or keep it where that is asked."""
    path = SCREENS / f"{name}.txt"
    seen = text_of(app)
    if os.environ.get("UPDATE_SCREENS"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(seen, encoding="utf-8")
    assert seen == path.read_text(encoding="utf-8"), f"see tests/data/README.md; now:\n{seen}"
