"""Own keys of the settings in the dashboard."""

import re

import pytest

from cnn_engine.runs.commands import CommandReader
from cnn_tui.dashboard import launch
from cnn_tui.dashboard.app import Dashboard
from cnn_tui.dashboard.dialogs.dialog import Palette
from cnn_tui.dashboard.dialogs.help import HelpScreen
from cnn_tui.dashboard.keymap import TOGETHER, own_keys
from cnn_tui.dashboard.keys import SCOPES, keys_for
from cnn_tui.dashboard.screens.compare import CompareScreen
from cnn_tui.dashboard.screens.lesson import LessonScreen
from cnn_tui.dashboard.screens.run import RunScreen
from cnn_tui.dashboard.screens.runs import RunsScreen
from cnn_tui.lesson.contents import all_chapters
from cnn_tui.settings import Options, load_settings
from cnn_tui.settings.file import read_file
from cnn_tui.settings.load import read_settings
from golden import running_run
from pilot import press, screen_text, settle, wait_for_text


@pytest.fixture
def keys_of(tmp_path):
    """Return a function that returns the own keys of lines in a file."""

    def read(*lines):
        path = tmp_path / "config.toml"
        path.write_text("\n".join(["[keys]", *lines]))
        return own_keys(read_settings(read_file(path), {}))

    return read


def test_default_keys_of_scopes_that_work_together_differ(keys_of):
    assert {scope for scopes in TOGETHER for scope in scopes} == set(SCOPES)
    for scopes in TOGETHER:
        names = [name for key in keys_for(*scopes) for name in key.keys.split(",")]
        assert len(names) == len(set(names)), scopes


async def test_own_key_works_and_is_shown_and_the_default_one_is_free(tmp_path, keys_of):
    run = running_run(tmp_path, 60)
    keys = keys_of('run.pause = "space"', 'run.quit = "Q"', 'help = "f9"')
    app = Dashboard(RunScreen(run, trains_here=True), keymap=keys.keymap)
    async with app.run_test(size=(120, 36)) as pilot:
        await settle(pilot)
        assert "space pause" in screen_text(app)
        await press(pilot, "p", "question_mark", "q")
        assert not run.commands.exists()
        assert isinstance(app.screen, RunScreen)
        await press(pilot, "escape")
        assert "Press Q to quit" in screen_text(app)
        await press(pilot, "f9")
        assert isinstance(app.screen, HelpScreen)
        await wait_for_text(pilot, "Pause or continue")
        assert re.search(r"space +Pause or continue", screen_text(app))
        await press(pilot, "f9")
        assert isinstance(app.screen, RunScreen)
        await press(pilot, "ctrl+p")
        await pilot.press(*"pause")
        await wait_for_text(pilot, "key space")
        await press(pilot, "escape", "space")
        assert [command.name for command in CommandReader(run.commands).poll()] == ["pause"]


async def test_keys_can_be_exchanged(tmp_path, keys_of):
    run = running_run(tmp_path, 60)
    app = Dashboard(
        RunScreen(run, trains_here=True),
        keymap=keys_of('run.pause = "c"', 'run.save_checkpoint = "p"').keymap,
    )
    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "p")
        assert [command.name for command in CommandReader(run.commands).poll()] == ["checkpoint"]


@pytest.mark.parametrize("name", ["run", "runs", "compare", "lesson"])
async def test_keys_of_the_whole_app_can_be_changed_too(tmp_path, keys_of, name):
    run = running_run(tmp_path, 60)
    screen = {
        "run": lambda: RunScreen(run),
        "runs": lambda: RunsScreen(tmp_path),
        "compare": lambda: CompareScreen([run, run]),
        "lesson": lambda: LessonScreen(all_chapters(None)),
    }[name]()
    keys = keys_of('palette = "f9"', 'suspend = "f8"', 'theme = ["f7", "T"]')
    assert keys.problems == ()
    app = Dashboard(screen, keymap=keys.keymap)
    async with app.run_test(size=(80, 24)) as pilot:
        await press(pilot, "t", "ctrl+p", "ctrl+z")
        assert app.screen is screen
        assert app.theme == "cnn-tui-dark"
        assert "Cannot suspend" not in screen_text(app)
        await press(pilot, "T", "f8")
        assert app.theme == "cnn-tui-light"
        assert "Cannot suspend" in screen_text(app)
        await press(pilot, "f9")
        assert isinstance(app.screen, Palette)


async def test_mistakes_in_settings_are_shown_in_the_dashboard(tmp_path, monkeypatch):
    path = tmp_path / "config.toml"
    path.write_text('[display]\ntheme = "dak"\n[keys]\nrun.paws = "space"\n')
    monkeypatch.setenv("CNN_TUI_CONFIG", str(path))
    load_settings.cache_clear()
    app = launch._dashboard(RunScreen(running_run(tmp_path, 60)), Options())
    load_settings.cache_clear()
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        *_, first, second = screen_text(app).splitlines()
        text = " Settings, 1 of 2 mistakes: config.toml:2: display.theme: 'dak' is not one of"
        assert first == text
        assert second.startswith(" dark, light, ")


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (['run.paus = "space"'], "2: keys.run.paus: no key has this id; did you mean 'run.pause'?"),
        (
            ['zzz = "space"'],
            "2: keys.zzz: no key has this id; their ids are in the file of: cnn-tui settings edit",
        ),
        (
            ['run.pause = "spcae"'],
            "2: keys.run.pause: 'spcae' is no key; did you mean 'space'?",
        ),
        (
            ['run.pause = "ctrl p"'],
            "2: keys.run.pause: 'ctrl p' is no key; did you mean 'ctrl+p'?",
        ),
        (
            ['run.pause = "strg+p"'],
            "2: keys.run.pause: 'strg+p' is no key; did you mean 'ctrl+p'?",
        ),
        (
            ['run.pause = "shift+p"'],
            "2: keys.run.pause: 'shift+p' is no key of terminals; write 'P'",
        ),
        (
            ['run.pause = "ctrl+q"'],
            "2: keys.run.pause: 'ctrl+q' always quits; choose another key",
        ),
        (
            ['run.pause = "s"'],
            "2: keys.run.pause: s is the key of run.stop too (Stop training, now or after this "
            "epoch); give that another key, or choose a free one, such as g, i, j",
        ),
        (
            ['live.follow = "p"'],
            "2: keys.live.follow: p is the key of run.pause too (Pause or continue training); "
            "give that another key, or choose a free one, such as f, g, i",
        ),
        (
            ['run.stop = "g"', 'run.pause = "g"'],
            "3: keys.run.pause: g is the key of run.stop too (Stop training, now or after this "
            "epoch); give that another key, or choose a free one, such as i, j, p",
        ),
        (
            ['theme = "s"'],
            "2: keys.theme: s is the key of run.stop too (Stop training, now or after this "
            "epoch); give that another key, or choose a free one, such as t, z, A",
        ),
    ],
)
def test_mistake_is_a_line_with_a_fix_and_the_default_key_holds(tmp_path, keys_of, lines, expected):
    keymap, problems = keys_of(*lines, 'log.search = "f5"')[:2]
    assert problems == (f"{tmp_path}/config.toml:{expected}",)
    kept = {"run.stop": "g"} if len(lines) > 1 else {}
    assert keymap == {**kept, "log.search": "f5"}


@pytest.mark.parametrize(
    ("given", "name", "shown"),
    [
        ("?", "question_mark", "?"),
        ("!", "exclamation_mark", "!"),
        ("+", "plus", "+"),
        (",", "comma", ","),
        ("esc", "escape", "esc"),
        ("ö", "ö", "ö"),
        ("shift+ctrl+left", "ctrl+shift+left", "ctrl shift ←"),
        ("ctrl+T", "ctrl+t", "ctrl t"),
        ("space", "space", "space"),
    ],
)
def test_keys_are_named_as_they_are_typed_or_shown(keys_of, given, name, shown):
    others = ('back = "f8"', 'help = "f9"', 'live.zoom_in = "f7"', 'metrics.cursor_left = "f6"')
    more = ('metrics.zoom_in = "f7"', f'run.explain = "{given}"')
    keymap, problems = keys_of(*others, *more)[:2]
    assert problems == ()
    assert keymap["run.explain"] == name
    (key,) = [key for key in keys_for("run", keymap=keymap) if key.name == "explain"]
    assert key.shown == shown


def test_id_goes_before_a_name_for_all_parts(keys_of):
    keymap, problems = keys_of('runs.help = "f2"', 'help = "f3"')[:2]
    assert problems == ()
    assert keymap == {
        "runs.help": "f2",
        **dict.fromkeys(("run.help", "lesson.help", "compare.help"), "f3"),
    }
