"""Make the screenshots for the documentation, of a real run halfway and at its end.

    python tui/tools/make_pictures.py [--config digits] [--data-dir DIR] [--epoch 7]
                                      [--halfway] [--output tui/pictures]

Writes `live.svg`, `light.svg`, `narrow.svg`, `classes.svg`, `finished.svg`, `mistakes.svg` and
`model.svg`; needs no terminal. With `--halfway`, only the first four, which show no image of the
data set, and the run is stopped.
"""

import argparse
import asyncio
import signal
import tempfile
from pathlib import Path
from typing import NamedTuple

from textual.pilot import Pilot

from cnn_engine.runlog.state import RunState
from cnn_engine.runs.directory import create_run
from cnn_engine.runs.recorder import Recorder
from cnn_engine.session.engine import Engine
from cnn_engine.session.request import Request
from cnn_tui.dashboard.app import Dashboard
from cnn_tui.dashboard.screens.run import RunScreen
from cnn_tui.dashboard.theme import DARK, LIGHT


class Screenshot(NamedTuple):
    """A screenshot to take."""

    name: str
    size: tuple[int, int] = (120, 36)
    view: str = "1"
    """Key of the view."""

    theme: str = DARK.name


HALFWAY = (
    Screenshot("live"),
    Screenshot("light", theme=LIGHT.name),
    Screenshot("narrow", size=(80, 24)),
    Screenshot("classes", view="2"),
)

FINISHED = (
    Screenshot("finished"),
    Screenshot("mistakes", view="3"),
    Screenshot("model", view="4"),
)


async def take_screenshot(screenshot: Screenshot, pilot: Pilot[None], output: Path) -> None:
    """Save a screenshot with its size, view and theme."""
    app = pilot.app
    app.theme = screenshot.theme
    await pilot.resize_terminal(*screenshot.size)
    await pilot.press(screenshot.view)
    await pilot.pause(0.2)
    app.save_screenshot(f"{screenshot.name}.svg", path=str(output))


def is_past_middle(state: RunState, epoch: int) -> bool:
    """Return True if the run is past the middle of the epoch."""
    return state.epoch > epoch or (
        state.epoch == epoch and state.step > 0.5 * state.steps_per_epoch
    )


async def main(arguments: argparse.Namespace) -> None:
    """Train with the dashboard and save the screenshots."""
    settings = [f"data.path={arguments.data_dir}"] if arguments.data_dir else []
    with tempfile.TemporaryDirectory() as runs_dir:
        directory = create_run(Path(runs_dir))
        request = Request.from_preset(arguments.config, settings, name="baseline")
        engine = Engine(request, Recorder(directory))
        screen = RunScreen(directory, trains_here=True)
        app = Dashboard(screen, engine)
        async with app.run_test(size=(120, 36)) as pilot:
            while not is_past_middle(screen.state, arguments.epoch):
                await pilot.pause(0.05)
                screen.poll()  # the screen itself polls only once a second
            for screenshot in HALFWAY:
                await take_screenshot(screenshot, pilot, arguments.output)
            if arguments.halfway:
                engine.request_stop(signal.SIGTERM)
            while not screen.state.has_ended:
                await pilot.pause(0.2)
            await pilot.pause(1)
            for screenshot in () if arguments.halfway else FINISHED:
                await take_screenshot(screenshot, pilot, arguments.output)
        engine.join()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", default="digits")
    parser.add_argument("--data-dir")
    parser.add_argument("--epoch", type=int, default=7)
    parser.add_argument("--halfway", action="store_true")
    parser.add_argument("--output", type=Path, default=Path(__file__).parents[1] / "pictures")
    asyncio.run(main(parser.parse_args()))
