"""The Metrics view: charts of all series, their filter, arrangement and cursor."""

import math
import random

import pytest

from cnn_engine.runlog import events
from cnn_engine.runlog.lines import to_line
from cnn_engine.runs.directory import RunDirectory
from cnn_tui.dashboard.app import Dashboard
from cnn_tui.dashboard.screens.run import RunScreen
from cnn_tui.dashboard.widgets.metric_grid import GridView, MetricGrid, grid_layout
from cnn_tui.settings import Options
from golden import NOW, add_events, golden_run, running_run
from pilot import SIZES, assert_screen, press, repaints_while_idle, screen_text, settle

pytestmark = pytest.mark.usefixtures("fixed_time")

EPOCHS, STEPS = 30, 200


def loop_run(runs_dir, names=(), epochs=20, steps_per_epoch=STEPS):
    """Create the run of another loop, with the usual series and others of these names."""
    run = RunDirectory(runs_dir / "1124-0412-amber")
    run.path.mkdir(parents=True)
    started = events.RunStarted(
        time=NOW - 900,
        run_id=run.id,
        name="resnet-a",
        preset="",
        config={"config": {"lr": 0.1}},
        pid=1,
        host="elsewhere",
        version="0",
    )
    loop = events.LoopDescribed(time=NOW - 900, epochs=EPOCHS, steps_per_epoch=steps_per_epoch)
    add_events(run, started, loop, *(scalars(n, names) for n in range(1, 4 * epochs + 1)))
    return run


def scalars(number, names=()):
    """Return the values of the quarter of an epoch with this number."""
    part = number / (4 * EPOCHS)
    noise = 0.1 * math.sin(7 * number)
    loss = 2.2 * math.exp(-5 * part) + 0.3 + 0.3 * noise
    values = {
        "train/loss": (loss, loss - 0.1, loss + 0.1 + abs(noise)),
        "lr": (0.1 * (1 - part),),
        "grad/norm": (3 + noise + part, 2.5, 4.5),
        "grad/clipped": (noise,),
        "gpu/memory GB": (9.2 + 0.1 * (number > 9),),
        **{name: (index + noise,) for index, name in enumerate(names)},
    }
    if number % 4 == 0:
        values |= {"val/loss": (1.1 * loss,), "val/acc": (1 - loss / 3,), "val/f1": (1 - loss / 4,)}
    return events.ScalarsLogged(
        time=NOW - 90 + number, step=number * STEPS // 4, epoch=(number + 3) // 4, values=values
    )


def grid_of(app):
    return app.screen.query_one(MetricGrid)


def titles(app):
    return [group.title for group in grid_of(app).groups]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("name", "keys"), [("grid", ""), ("enlarged", "down enter left left"), ("own", "")]
)
async def test_screen_matches_saved_screen(tmp_path, name, keys, size):
    run = running_run(tmp_path, 100) if name == "own" else loop_run(tmp_path)
    app = Dashboard(RunScreen(run))
    async with app.run_test(size=size) as pilot:
        await press(pilot, "6", *keys.split())
        await assert_screen(pilot, f"metrics_{name}-{size[0]}x{size[1]}")


@pytest.mark.parametrize("size", SIZES)
async def test_ascii_screen_matches_saved_screen(tmp_path, size, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    app = Dashboard(RunScreen(loop_run(tmp_path)), options=Options(ascii=True))
    async with app.run_test(size=size) as pilot:
        await press(pilot, "6", "left")
        assert screen_text(app).isascii()
        await assert_screen(pilot, f"metrics_ascii-{size[0]}x{size[1]}")


async def test_hundred_series_are_filtered_as_one_types(tmp_path):
    names = [f"act/layer{number:02}/{kind}" for number in range(46) for kind in ("mean", "std")]
    app = Dashboard(RunScreen(loop_run(tmp_path, names, epochs=2)))
    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "6")
        assert "─ 99 charts" in screen_text(app)
        assert "1–12" in screen_text(app)
        await press(pilot, "slash", *"STD")
        assert "─ 46 of 99 · /STD" in screen_text(app)
        await press(pilot, *" r1", "enter")
        assert "─ 10 of 99 · /STD r1" in screen_text(app)
        assert titles(app) == [f"act/layer{number}/std" for number in range(10, 20)]
        await press(pilot, "right")  # the view has the keys again
        assert grid_of(app).grid.selected == "act/layer11/std"


async def test_escape_leaves_filter_then_cursor_then_nothing(tmp_path):
    app = Dashboard(RunScreen(loop_run(tmp_path, epochs=2)))
    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "6", "comma", "slash", *"grad", "enter", "enter")
        grid = grid_of(app)
        assert "grad/norm by epoch ─ 1 of 2" in screen_text(app)
        await press(pilot, "escape")
        assert (grid.grid.is_enlarged, grid.grid.filter_text) == (False, "grad")
        await press(pilot, "escape")
        assert grid.grid.filter_text == ""
        assert grid.view.cursor is not None
        await press(pilot, "escape")
        assert grid.view.cursor is None
        assert app.screen.view.back() is False
        await press(pilot, "slash", *"nothing", "escape")
        assert titles(app) == [
            "loss",
            "val/acc",
            "lr",
            "grad/norm",
            "grad/clipped",
            "gpu/memory GB",
            "val/f1",
        ]
        await press(pilot, "slash", *"nothing", "enter")
        assert "no matching name; esc clears the filter" in screen_text(app)


async def test_keys_select_charts_and_only_those_in_view_are_drawn(tmp_path):
    names = [f"x/{number:03}" for number in range(991)]
    app = Dashboard(RunScreen(loop_run(tmp_path, names, epochs=1)))
    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "6", "left", "up")
        grid = grid_of(app)
        everything = titles(app)
        assert len(everything) == 998
        assert grid.grid.selected in {"", everything[0]}
        columns, rows = grid._layout
        await press(pilot, "right", "down")
        assert grid.grid.selected == everything[columns + 1]
        await press(pilot, "pagedown")
        assert grid.grid.selected == everything[columns * (rows + 1) + 1]
        assert len(grid._binned._binned) == columns * rows
        first = columns * rows + 1
        assert f" {first}–{first + columns * rows - 1} " in screen_text(app)
        await press(pilot, "end")
        assert grid.grid.selected == everything[-1]
        assert "x/990" in screen_text(app)
        await press(pilot, "right", "down", "home")
        assert grid.grid.selected == everything[0]
        assert f" 1–{columns * rows} " in screen_text(app)


async def test_enlarged_chart_has_the_keys_of_the_live_chart(tmp_path):
    app = Dashboard(RunScreen(loop_run(tmp_path)))
    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "6", "enter")
        grid = grid_of(app)
        assert "loss by epoch ─ 1 of 7" in screen_text(app)
        await press(pilot, "home", "shift+right")
        assert grid.view.cursor == STEPS
        assert f"epoch 1 · step {STEPS}" in screen_text(app)
        await press(pilot, "left")
        assert grid.view.cursor < STEPS
        await press(pilot, "down", "plus", "l", "m")
        assert "val/acc by epoch ─ 2 of 7" in screen_text(app)
        assert "2× zoom · log · smooth" in screen_text(app)
        await press(pilot, "enter")
        assert (grid.view.zoom, grid.view.log, grid.view.smoothing) == (1, True, 1)
        assert "2× zoom · log · smooth" in screen_text(app)
        await press(pilot, "0", "f")
        assert (grid.view.zoom, grid.view.cursor) == (0, None)


async def test_keys_change_columns_and_rows(tmp_path):
    app = Dashboard(RunScreen(loop_run(tmp_path)))
    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "6")
        grid = grid_of(app)
        assert grid._layout == (3, 3)
        await press(pilot, "left_square_bracket", "left_curly_bracket")
        assert grid._layout == (2, 3)
        assert "1–6" in screen_text(app)
        await press(pilot, *["left_square_bracket"] * 5, *["left_curly_bracket"] * 5)
        assert grid._layout == (1, 1)
        assert "1 of 7" in screen_text(app)
        await press(pilot, *["right_square_bracket"] * 9, *["right_curly_bracket"] * 30)
        assert grid._layout.columns >= 5
        assert grid._layout.rows == 2
        assert "charts" in screen_text(app)


async def test_click_selects_a_chart_and_enlarges_the_selected_one(tmp_path):
    app = Dashboard(RunScreen(loop_run(tmp_path, epochs=1)))
    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "6")
        grid = grid_of(app)
        lines = screen_text(app).splitlines()
        row = next(row for row, line in enumerate(lines) if "grad/clipped" in line)
        for is_enlarged in (False, True):
            await pilot.click(offset=(lines[row].index("grad/clipped"), row))
            await settle(pilot)
            assert grid.grid.selected == "grad/clipped"
            assert grid.grid.is_enlarged is is_enlarged
        await pilot.click(offset=(60, row))
        assert grid.grid.selected == "grad/clipped"


def test_grid_layout_fits_and_uses_the_size():
    for count in (1, 2, 3, 7, 14, 100, 1000):
        for width in range(17, 210, 7):
            for height in range(2, 60, 3):
                layout = grid_layout(count, width, height, GridView())
                assert 1 <= layout.columns <= max(1, count)
                assert layout.rows * 2 <= height
                assert (width + 2) // layout.columns - 2 >= 17
    assert grid_layout(1, 116, 28, GridView()) == (1, 1)
    assert grid_layout(2, 116, 28, GridView()) == (2, 1)
    assert grid_layout(100, 116, 28, GridView()).capacity >= 12
    assert grid_layout(100, 196, 52, GridView(columns=7, rows=3)) == (7, 3)


# Runs that grow, and runs without series.


async def test_new_values_are_drawn_as_they_are_logged(tmp_path):
    run = loop_run(tmp_path, epochs=1)
    app = Dashboard(RunScreen(run))
    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "6")
        before = screen_text(app)
        add_events(
            run,
            *map(scalars, range(5, 9)),
            events.ScalarsLogged(time=NOW, step=450, epoch=3, values={"late": (123.5,)}),
        )
        app.screen.poll()
        await settle(pilot)
        after = screen_text(app)
        assert "8 charts" in after
        assert "123.5" in after
        assert before != after
        reopened = Dashboard(RunScreen(run))
    async with reopened.run_test(size=(120, 36)) as pilot:
        await press(pilot, "6")
        assert screen_text(reopened) == after


async def test_header_and_progress_go_on_while_the_byte_budget_is_spent(tmp_path, monkeypatch):
    run = loop_run(tmp_path, epochs=1)
    app = Dashboard(RunScreen(run))
    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "6")
        monkeypatch.setattr(app, "can_draw", lambda *, is_reply=False: is_reply)
        await press(pilot, "slash")
        before = screen_text(app).splitlines()
        add_events(run, *map(scalars, range(5, 9)))
        app.screen.poll()
        await settle(pilot)
        after = screen_text(app).splitlines()
        assert "Epoch  2/30" in after[2]
        assert after[3:] == before[3:]  # the charts, which take most of the bytes


async def test_idle_view_repaints_nothing(tmp_path):
    app = Dashboard(RunScreen(loop_run(tmp_path)))
    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "6")
        assert await repaints_while_idle(pilot) == []


@pytest.mark.parametrize(
    ("logged", "text"),
    [
        ([], "waiting for the first steps"),
        ([events.LoopDescribed()], "no values yet: log them with run.log("),
        (
            [events.LoopDescribed(), events.RunFinished(status="done", exit_code=0, seconds=1.0)],
            "no values were logged",
        ),
    ],
)
async def test_view_without_series_says_why(tmp_path, logged, text):
    run = add_events(running_run(tmp_path, 1), *logged)
    app = Dashboard(RunScreen(run))
    async with app.run_test(size=(80, 24)) as pilot:
        await press(pilot, "6")
        assert text in screen_text(app)
        keys = "left enter plus comma shift+right escape right_square_bracket left_square_bracket"
        await press(pilot, *keys.split(), "slash", "a", "enter", "escape")
        assert text in screen_text(app)


async def test_axis_is_in_steps_if_the_length_of_an_epoch_is_unknown(tmp_path):
    app = Dashboard(RunScreen(loop_run(tmp_path, steps_per_epoch=0)))
    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "6")
        assert "Metrics by step" in screen_text(app)
        await press(pilot, "shift+left")
        assert "step 2," in screen_text(app)


async def test_hostile_names_are_shown_as_text(tmp_path):
    hostile = [
        "[red]a",
        "[/nope]",
        "[@click=app.exit]x",
        "\x1b[2Jb",
        "c\nd",
        "\u202ee",
        "日本" * 99,
    ]
    app = Dashboard(RunScreen(loop_run(tmp_path, [*hostile, "é" * 500], epochs=1)))
    async with app.run_test(size=(200, 60)) as pilot:
        await press(pilot, "6", "end")
        text = screen_text(app)
        for _ in hostile:
            await press(pilot, "left", "enter")
            text += screen_text(app)
            await press(pilot, "enter")
    assert all(char == "\n" or char.isprintable() for char in text)
    assert "[@click=app.exit]x" in text
    assert r"\x1b[2Jb" in text


async def test_view_survives_random_resizes(tmp_path):
    random.seed(0)
    app = Dashboard(RunScreen(loop_run(tmp_path, epochs=3)))
    keys = ["enter", "right", "down", "right_square_bracket", "left_curly_bracket", "comma", "plus"]
    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "6")
        for number in range(40):
            await pilot.resize_terminal(random.randint(1, 220), random.randint(1, 70))
            await pilot.press(keys[number % len(keys)])
        await pilot.resize_terminal(1, 1)
        await pilot.press(*keys)
        assert app.is_running


@pytest.mark.parametrize("steps_per_epoch", [None, 0, -5])
async def test_damaged_log_is_drawn(tmp_path, steps_per_epoch):
    run = golden_run(tmp_path, "completed")
    random.seed(1)
    lines = [
        to_line(
            events.ScalarsLogged(
                step=random.choice([-(1 << 62), -5, 0, 3, 10**6, 1 << 62]),
                epoch=-1,
                values={"a": (1e300, -1e300, 1e308), "train/a": (random.random(),)},
                not_finite={"b": "inf", "a": "?"},
            )
        )
        for _ in range(50)
    ]
    if steps_per_epoch is not None:
        run.events.write_text("")
        lines.insert(0, to_line(events.LoopDescribed(steps_per_epoch=steps_per_epoch)))
    with run.events.open("a") as log:
        log.write("\n".join(lines) + "\n")
    app = Dashboard(RunScreen(run))
    async with app.run_test(size=(100, 30)) as pilot:
        await press(pilot, "6", *"enter l plus plus left shift+left escape m minus comma".split())
        assert "q quit" in screen_text(app)
