"""All screens and dialogs on a terminal without UTF-8."""

import re

import pytest

from cnn_tui.dashboard.app import Dashboard
from cnn_tui.dashboard.screens.compare import CompareScreen
from cnn_tui.dashboard.screens.lesson import LessonScreen
from cnn_tui.dashboard.screens.run import RunScreen
from cnn_tui.dashboard.screens.runs import RunsScreen
from cnn_tui.lesson.contents import all_chapters
from cnn_tui.settings import Options
from golden import add_maps, golden_run, running_run
from pilot import press, screen_text, settle

pytestmark = pytest.mark.usefixtures("fixed_time")

QUESTION_MARK = re.compile(r"(?<!\w)\?(?! help| q| +Show all keys)")
"""A question mark that follows no word and is no key: a character without an ASCII twin."""

SCREENS = {
    "running": (
        lambda runs_dir: RunScreen(running_run(runs_dir, lines=60), trains_here=True),
        "left plus 2 m o 3 4 5 6 l enter p s escape r escape e escape".split(),
    ),
    "done": (
        lambda runs_dir: RunScreen(add_maps(golden_run(runs_dir, "completed"))),
        "2 f 4 down l 6 full_stop question_mark escape ctrl+p".split(),
    ),
    "runs": (
        lambda runs_dir: RunsScreen(golden_run(runs_dir, "completed").path.parent),
        "space i asterisk slash escape s escape n escape l".split(),
    ),
    "compare": (
        lambda runs_dir: CompareScreen([golden_run(runs_dir, "completed", name) for name in "ab"]),
        "v x left 2 3".split(),
    ),
    "lesson": (
        lambda runs_dir: LessonScreen(all_chapters(golden_run(runs_dir, "completed"))),
        [*"12345678", *["space"] * 6],
    ),
}


@pytest.mark.parametrize("size", [(120, 36), (60, 20)])
@pytest.mark.parametrize("name", SCREENS)
async def test_screens_have_no_question_marks_for_glyphs(tmp_path, name, size):
    make_screen, keys = SCREENS[name]
    app = Dashboard(make_screen(tmp_path), options=Options(ascii=True))
    async with app.run_test(size=size) as pilot:
        await settle(pilot)
        for key in ["", *keys]:
            if key:
                await press(pilot, key)
            text = screen_text(app)
            assert text.isascii(), key
            assert not QUESTION_MARK.search(text), f"{key}\n{text}"
