"""Settings from a file and from variables, and the mistakes in them."""

import json
import os
import re
import tomllib
from pathlib import Path

import pytest

from cnn_engine.notifications.variables import FIELDS
from cnn_tui.dashboard.keys import KEYS
from cnn_tui.settings import Settings, ThemeName, file, load_settings
from cnn_tui.settings.fields import all_settings
from cnn_tui.settings.file import config_path, read_file
from cnn_tui.settings.load import read_settings
from cnn_tui.settings.template import template
from cnn_tui.settings.values import masked
from fresh_interpreter import SCREEN_SIDE, TORCH_SIDE, loaded_modules

THEMES = ", ".join(ThemeName)
NO_KEYS = 'must be names of keys in quotes, such as "space" or "f2,x"'
PAGE = Path(__file__).parents[3] / "tui/docs/SETTINGS.md"


@pytest.fixture
def path(tmp_path):
    """Path of a file of settings."""
    return tmp_path / "config.toml"


def load(path, text="", **variables):
    path.write_text(text)
    return read_settings(read_file(path), variables)


def test_without_a_file_all_settings_are_defaults(tmp_path, monkeypatch):
    monkeypatch.delenv("CNN_TUI_CONFIG")
    loaded = read_settings(read_file(tmp_path / "none.toml"), {})
    assert loaded.values == Settings()
    assert set(loaded.sources.values()) == {"default"}
    assert loaded.problems == ()


def test_variables_go_before_the_file_and_that_before_the_defaults(path):
    loaded = load(
        path,
        '[display]\ntheme = "light"\nbell = true\n[run]\nthreads = 3\n'
        '[keys]\nrun.pause = "space"\n"run.stop" = ["f2", ","]\n',
        CNN_TUI_THEME="color-blind",
        CNN_TUI_MOUSE="off",
        CNN_TUI_NOTIFY_URL="https://a.b/c,d http://e",
        CNN_TUI_NOTIFY_EVENTS="done,alarm",
        CNN_TUI_KEYS="run.pause=f9",
    )
    values = loaded.values
    assert (values.display.theme, values.display.bell, values.display.mouse) == (
        "color-blind",
        True,
        False,
    )
    assert values.run.threads == 3
    assert values.notify.url == ["https://a.b/c,d", "http://e"]
    assert values.notify.events == ["done", "alarm"]
    assert values.keys == {"run.pause": "f9", "run.stop": "f2,comma"}
    assert loaded.sources["display.theme"] == "CNN_TUI_THEME"
    assert loaded.sources["display.bell"] == "file"
    assert loaded.sources["display.ascii"] == "default"
    assert loaded.sources["keys.run.pause"] == "CNN_TUI_KEYS"
    assert loaded.problems == ()


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        (
            'theme = "dak"',
            f"3: display.theme: 'dak' is not one of {THEMES}; did you mean 'dark'?",
        ),
        ("theme = light", '3: not valid TOML: Invalid value; write theme = "light"'),
        ("ascii = True", "3: not valid TOML: Invalid value; write ascii = true"),
        ('mouse = "no"', "3: display.mouse: must be true or false, without quotes (got 'no')"),
        ("teme = 1", "3: display.teme: unknown setting; did you mean 'display.theme'?"),
        ("[ui]", "3: ui: unknown setting; list the settings with: cnn-tui settings"),
        ("[run]\nthreads = -1", "4: run.threads: must be a whole number from 0 to 4096 (got -1)"),
        ("[run]\ndevice = 1", "4: run.device: 1 is not one of auto, cpu, cuda, mps"),
        ("[notify]\nurl = [1]", "4: notify.url: must be a text in quotes (got 1)"),
        ("[notify]\nurl = 1", '4: notify.url: must be a list, such as ["…"] (got 1)'),
        (
            '[notify]\nurl = "https://user:word@host/secret\\u0007"',
            "4: notify.url: contains control characters: 'https://host/…'",
        ),
        (
            '[run]\nruns_dir = "\\u001b[31m"',
            r"4: run.runs_dir: contains control characters: '\x1b[31m'",
        ),
        ("[keys]\nrun.pause = 1", f"4: keys.run.pause: {NO_KEYS}"),
        ('[keys]\nrun.pause = ""', f"4: keys.run.pause: {NO_KEYS}"),
    ],
)
def test_mistake_in_the_file_is_a_line_and_the_other_settings_hold(path, wrong, expected):
    loaded = load(path, f"[display]\nbell = true\n{wrong}\n")
    assert loaded.problems == (f"{path}:{expected}",)
    assert loaded.values.display.bell
    assert loaded.values.keys == {}


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("CNN_TUI_BELL", "maybe", "CNN_TUI_BELL: must be 1 or 0 (got 'maybe')"),
        ("CNN_TUI_THEME", "pink", f"CNN_TUI_THEME: 'pink' is not one of {THEMES}"),
        (
            "CNN_TUI_THREADS",
            "9" * 5000,
            f"CNN_TUI_THREADS: must be a whole number from 0 to 4096 (got '{'9' * 99}…)",
        ),
        (
            "CNN_TUI_THEEME",
            "dark",
            "CNN_TUI_THEEME: unknown variable; did you mean 'CNN_TUI_THEME'?",
        ),
        (
            "CNN_TUI_KEYS",
            "run.pause",
            f"CNN_TUI_KEYS: {NO_KEYS}",
        ),
    ],
)
def test_mistake_in_a_variable_is_a_line_and_the_file_holds(path, name, value, expected):
    loaded = load(path, '[display]\ntheme = "light"\n[run]\nthreads = 2', **{name: value})
    assert loaded.problems == (expected,)
    assert (loaded.values.display.theme, loaded.values.run.threads) == ("light", 2)


@pytest.mark.parametrize("name", ["CNN_TUI_MODE", "CNN_TUI_RUN", "CNN_TUI_CONFIG", "CNN_TUI_XYZ"])
def test_variables_of_other_parts_are_no_mistake(path, name):
    assert load(path, **{name: "x"}).problems == ()


def test_variables_of_a_command_at_the_end_of_a_run_are_no_mistake(path):
    """The command may be one of this program."""
    assert load(path, **dict.fromkeys(FIELDS, "x")).problems == ()


def test_section_that_is_no_table_is_a_mistake(path):
    loaded = load(path, "display = 3\n[run]\nthreads = 2\n")
    expected = f"{path}:1: display: must be a table; write [display] above its keys"
    assert loaded.problems == (expected,)
    assert loaded.values.run.threads == 2


def test_file_that_is_not_toml_as_a_whole_is_one_mistake(path):
    loaded = load(path, '[display]\ntheme = "light"\n[run\nthreads = 2\n')
    (problem,) = loaded.problems
    assert problem.startswith(f"{path}:3: not valid TOML: ")
    assert problem.endswith("; nothing in this file is used")
    assert loaded.values == Settings()
    assert len(load(path, "x\n" * 1000).problems) == 1
    assert len(load(path, '[notify]\nurl = ["a",\n').problems) == 1
    assert len(load(path, "x = " + "[" * 100_000).problems) == 1


def test_file_may_begin_with_a_byte_order_mark_and_have_windows_line_ends(path):
    path.write_bytes(b'\xef\xbb\xbf[display]\r\ntheme = "light"\r\nascii = yes\r\n')
    loaded = read_settings(read_file(path), {})
    assert loaded.values.display.theme == "light"
    assert loaded.problems == (f'{path}:3: not valid TOML: Invalid value; write ascii = "yes"',)


def unreadable(path, monkeypatch):
    def refuse(_path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(file, "open_regular", refuse)


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (lambda path, _: path.mkdir(), "is a directory; move it away, or name a file with CNN_TUI"),
        (lambda path, _: os.mkfifo(path), "cannot be read: is not a regular file; check it, or"),
        (unreadable, "cannot be read: Permission denied; check it, or name another with CNN_TUI"),
        (lambda path, _: path.write_text("ö", "utf-16"), "is not UTF-8 text; save it as UTF-8"),
        (lambda path, _: path.write_text(" " * 2_000_000), "is larger than 1,000,000 bytes; not"),
        (lambda path, _: path.symlink_to(path), "cannot be read: Too many levels of symbolic"),
        (lambda *_: None, "does not exist; CNN_TUI_CONFIG names it; create it with: cnn-tui sett"),
    ],
    ids=["directory", "pipe", "unreadable", "utf-16", "large", "loop", "missing"],
)
def test_file_that_cannot_be_read_is_one_mistake(path, monkeypatch, damage, expected):
    damage(path, monkeypatch)
    monkeypatch.setenv("CNN_TUI_CONFIG", str(path))
    loaded = read_settings(read_file(config_path()), {})
    (problem,) = loaded.problems
    assert problem.startswith(f"{path}: {expected}")
    assert loaded.values == Settings()


def test_file_is_in_the_config_directory_of_the_user(monkeypatch, tmp_path):
    monkeypatch.setenv("CNN_TUI_CONFIG", "~/own.toml")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert config_path() == tmp_path / "own.toml"
    monkeypatch.delenv("CNN_TUI_CONFIG")
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    assert config_path().parts[-2:] == ("cnn-tui", "config.toml")
    assert config_path().is_relative_to(tmp_path)


def test_runs_directory_that_is_a_file_is_a_mistake(path):
    loaded = load(path, f'[run]\nruns_dir = "{path}"\n')
    assert loaded.problems == (f"{path}:2: run.runs_dir: '{path}' is not a directory; name one",)
    assert loaded.values.run.runs_dir == ""
    assert load(path, '[run]\nruns_dir = "~/r"').values.run.runs_dir == str(Path.home() / "r")


def test_settings_are_read_once_and_without_large_libraries(path):
    path.write_text('[display]\ntheme = "light"\n[keys]\nrun.pause = "space"\n')
    code = (
        f"import os; os.environ['CNN_TUI_CONFIG'] = {str(path)!r}\n"
        "from cnn_tui.settings import load_settings\n"
        "assert load_settings() is load_settings()\n"
        "assert load_settings().values.display.theme == 'light'"
    )
    loaded = loaded_modules(code, path.parent)
    assert not loaded & (TORCH_SIDE | SCREEN_SIDE | {"pydantic", "difflib", "typer"})


# The new file, and the page.


def test_new_file_explains_every_setting_and_sets_none(path):
    text = template((key.id, key.keys, key.help) for key in KEYS)
    assert read_settings(read_file(path), {}).values == load(path, text).values == Settings()
    prose = " ".join(text.replace("#", " ").split())
    for setting in all_settings():
        assert setting.description in prose
        assert setting.variable in prose


def test_new_file_without_its_comment_signs_sets_the_defaults(path):
    text = template((key.id, key.keys, key.help) for key in KEYS)
    loaded = load(path, re.sub(r"^# ([\w.-]+ = )", r"\1", text, flags=re.MULTILINE))
    assert loaded.problems == ()
    assert "default" not in loaded.sources.values()
    assert loaded.values.keys == {key.id: key.keys for key in KEYS}
    assert loaded.values.display == Settings().display
    assert loaded.values.notify == Settings().notify


def test_table_of_the_page_has_every_setting():
    """Each row has the setting, its default, variable, option and explanation."""
    cell = r" (?:`(.+?)`|–) \|"
    rows = re.findall(rf"^\|{cell * 4} (.+) \|$", PAGE.read_text(), re.MULTILINE)
    expected = [
        (setting.key, toml(setting.default), setting.variable, setting.option, setting.description)
        for setting in all_settings()
    ]
    assert rows == expected


def toml(value):
    text = json.dumps(value)
    assert tomllib.loads(f"x = {text}")["x"] == value
    return text


def test_cached_settings_are_those_of_the_tests():
    assert load_settings().values == Settings()


def test_nothing_behind_the_host_of_an_address_is_shown():
    assert masked("https://hooks.slack.com/services/a b") == "https://hooks.slack.com/…"
    assert masked("https://me:secret@host/x?y=z") == "https://host/…"
    assert masked("no address") == "no address"
